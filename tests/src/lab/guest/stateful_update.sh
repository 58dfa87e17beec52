#!/bin/sh
# ChromeOS's stateful_update: fetches URL/stateful.image.gz, an image of the stateful partition, and puts its `dev_image` and `var_overlay`
# beside those that are there; they are taken in when the machine starts.
#
#   stateful_update [--stateful_change=reset] URL
set -eu
state=/mnt/stateful_partition
if [ "${1:-}" = --stateful_change=reset ]; then
	rm -rf $state/dev_image_new $state/var_overlay_new $state/.update_available
	exit 0
fi
[ $# = 1 ] || { echo "usage: stateful_update URL" >&2; exit 1; }
# busybox's wget knows no names.
url=$(echo "${1%/}/stateful.image.gz" | sed 's|//localhost\([:/]\)|//127.0.0.1\1|')
work=$(mktemp -d /tmp/stateful.XXXXXX)
mount -t tmpfs none "$work"
mkdir "$work/mount"
cleanup() {
	umount "$work/mount" 2>/dev/null || true
	umount "$work"
	rmdir "$work"
}
trap cleanup EXIT
echo "Downloading stateful payload from $url"
wget -q -O "$work/image.gz" "$url"
gunzip "$work/image.gz"
mount -t ext4 -o ro,loop,noload "$work/image" "$work/mount"
rm -rf $state/dev_image_new $state/var_overlay_new $state/.update_available
for part in dev_image var_overlay; do
	[ -d "$work/mount/$part" ] || { echo "the stateful image has no $part" >&2; exit 1; }
	cp -a "$work/mount/$part" $state/${part}_new
done
sync
echo -n clean >$state/.update_available
sync
echo "Successfully downloaded and installed update. It is taken in at the next restart."
