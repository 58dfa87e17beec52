#!/bin/sh
# The partition that the system runs from, or with -d the disk.
case ${1:-} in -d) echo /dev/vda ;; *) cat /run/rootdev ;; esac
