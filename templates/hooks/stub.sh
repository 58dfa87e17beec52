#!/bin/sh
# Written by `windlass hooks install`; `windlass doctor` compares it, so do not edit it.
# Hooks of your own go into the directory @NAME@.d beside this file: each is run, the first refusal wins.
# A client that hangs up must not stop a hook half-way; what is ignored here stays ignored in the program.
trap '' HUP PIPE
exec @PROGRAM@ --config @CONFIG@ @NAME@ "$@"
