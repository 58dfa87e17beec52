#!/bin/sh
# Written by `windlass hooks install`; `windlass doctor` compares it, so do not edit it.
# Hooks of your own go into the directory @NAME@.d beside this file: each is run, the first refusal wins.
exec @PROGRAM@ --config @CONFIG@ @NAME@ "$@"
