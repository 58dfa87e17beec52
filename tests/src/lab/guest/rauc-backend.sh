#!/bin/sh
# What RAUC asks of a boot loader of one's own, answered from the files beside this one.
set -eu
dir=${0%/*}
case $1 in
get-primary) cat "$dir/primary" ;;
set-primary)
	echo good >"$dir/state-$2"
	echo 2 >"$dir/tries-$2"
	echo "$2" >"$dir/primary"
	;;
get-state) cat "$dir/state-$2" ;;
set-state) echo "$3" >"$dir/state-$2" ;;
get-current) cat "$dir/current" ;;
*) exit 1 ;;
esac
