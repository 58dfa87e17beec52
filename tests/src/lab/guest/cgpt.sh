#!/bin/sh
# The part of ChromeOS's `cgpt` that an updater and a boot selector use: how a slot's partition entry says that it may be started.
#
#   cgpt show -i N [-P|-T|-S] DISK            priority, tries, successful
#   cgpt add -i N [-P n] [-T n] [-S n] DISK   sets them
#   cgpt prioritize -i N DISK                 N goes before every other
#
# In an entry's attributes bits 48 to 51 are the priority, 52 to 55 the tries, 56 says successful: two bytes at 54 of its 128.
# There are two tables with checksums. The one at the disk's end is written first: whatever is killed, one of them is whole.
set -eu
say() { echo "cgpt: $*" >&2; }
fail() { say "$@"; exit 1; }

command=${1:-}
[ $# -gt 0 ] && shift
index= priority= tries= successful= shown=
while [ $# -gt 0 ]; do
	case $command:$1 in
	*:-i) index=$2; shift ;;
	add:-P) priority=$2; shift ;;
	add:-T) tries=$2; shift ;;
	add:-S) successful=$2; shift ;;
	show:-[PTS]) shown=$1 ;;
	*:-*) fail "$command does not know $1" ;;
	*) disk=$1 ;;
	esac
	shift
done
case $index in [1-9] | [1-9][0-9]) ;; *) fail "-i needs a partition's number" ;; esac
: "${disk:?needs the disk}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

u32() { set -- $(od -An -tu4 -j "$2" -N 4 "$1"); echo "$1"; }
byte() { set -- $(od -An -tu1 -j "$2" -N 1 "$1"); echo "$1"; }
crc() { set -- $(gzip -1 -c | tail -c 8 | od -An -tu4 -N 4); echo "$1"; }
put() { dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
le32() { printf "\\$(printf %03o $(($1 & 255)))\\$(printf %03o $(($1 >> 8 & 255)))\\$(printf %03o $(($1 >> 16 & 255)))\\$(printf %03o $(($1 >> 24 & 255)))"; }
header_crc() { { head -c 16 "$1"; le32 0; tail -c +21 "$1" | head -c 72; } | crc; }

last=$(($(blockdev --getsz "$disk") - 1))

# Reads the table whose header is in sector $1 and entries from $2 on; fails unless both checksums hold.
load() {
	dd if="$disk" of="$work/header" bs=512 skip="$1" count=1 2>/dev/null
	dd if="$disk" of="$work/entries" bs=512 skip="$2" count=32 2>/dev/null
	[ "$(head -c 8 "$work/header")" = "EFI PART" ] &&
		[ "$(header_crc "$work/header")" = "$(u32 "$work/header" 16)" ] &&
		[ "$(crc <"$work/entries")" = "$(u32 "$work/header" 88)" ]
}

# Writes the table to the sectors $1 (header) and $2 (entries); $3 is where the other header is.
store() {
	le32 "$1" | put "$work/header" 24
	le32 "$3" | put "$work/header" 32
	le32 "$2" | put "$work/header" 72
	le32 "$(crc <"$work/entries")" | put "$work/header" 88
	le32 "$(header_crc "$work/header")" | put "$work/header" 16
	dd if="$work/entries" of="$disk" bs=512 seek="$2" count=32 conv=notrunc,fsync 2>/dev/null
	dd if="$work/header" of="$disk" bs=512 seek="$1" count=1 conv=notrunc,fsync 2>/dev/null
}

at() { echo $((($1 - 1) * 128 + 54)); }
priority_of() { echo $(($(byte "$work/entries" "$(at "$1")") & 15)); }
# Sets the partition $1 to priority $2, tries $3, successful $4.
set_to() {
	{ [ "$2" -le 15 ] && [ "$3" -le 15 ] && [ "$4" -le 1 ]; } || fail "priority and tries go up to 15, successful to 1"
	printf "\\$(printf %03o $(($3 << 4 | $2)))\\$(printf %03o "$4")" | put "$work/entries" "$(at "$1")"
}

load 1 2 || {
	say "the first partition table is broken, taking the second"
	load "$last" $((last - 32)) || fail "both partition tables are broken"
}
now=$(byte "$work/entries" "$(at "$index")")
good=$(($(byte "$work/entries" $(($(at "$index") + 1))) & 1))
case $command in
show)
	case $shown in
	-P) echo $((now & 15)) ;;
	-T) echo $((now >> 4)) ;;
	-S) echo $good ;;
	*) echo "priority=$((now & 15)) tries=$((now >> 4)) successful=$good" ;;
	esac
	exit
	;;
add) set_to "$index" "${priority:-$((now & 15))}" "${tries:-$((now >> 4))}" "${successful:-$good}" ;;
prioritize)
	# The others keep their order below; nothing gains the right to be started.
	other=1
	while [ $other -le 12 ]; do
		if [ $other != "$index" ] && [ "$(priority_of $other)" -gt 1 ]; then
			set_to $other $(($(priority_of $other) - 1)) \
				$(($(byte "$work/entries" "$(at $other)") >> 4)) $(($(byte "$work/entries" $(($(at $other) + 1))) & 1))
		fi
		other=$((other + 1))
	done
	set_to "$index" 15 $((now >> 4)) $good
	;;
*) fail "show, add or prioritize" ;;
esac
store "$last" $((last - 32)) 1
store 1 2 "$last"
