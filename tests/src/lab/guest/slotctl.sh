#!/bin/sh
# What the system knows of its slots, in the words of people.
#
#   slotctl active|other        A or B
#   slotctl device SLOT         its partition
#   slotctl disable SLOT        it is not to be started: before it is overwritten
#   slotctl try SLOT [TRIES]    it is to be started next, so often until it is told to be good
#   slotctl good                the system that runs is good
#   slotctl status              one line for each slot
set -eu
disk=/dev/vda
number() { case $1 in A) echo 2 ;; B) echo 3 ;; *) echo "slotctl: no slot is called '$1'" >&2; exit 2 ;; esac; }
active=$(cat /run/slot)
case ${1:-} in
active) echo "$active" ;;
other) case $active in A) echo B ;; *) echo A ;; esac ;;
device) echo "$disk$(number "$2")" ;;
disable) cgpt add -i "$(number "$2")" -P 0 -T 0 -S 0 $disk ;;
try)
	cgpt add -i "$(number "$2")" -P 1 -T "${3:-$(cat /etc/lab/tries)}" -S 0 $disk
	cgpt prioritize -i "$(number "$2")" $disk
	;;
good) cgpt add -i "$(number "$active")" -S 1 -T 0 $disk ;;
status)
	for slot in A B; do
		mark=
		[ $slot = "$active" ] && mark=" active"
		echo "$slot $(cgpt show -i "$(number $slot)" $disk)$mark"
	done
	;;
*) sed -n 's/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
