#!/bin/sh
# The first program of a system in a slot: brings up the stateful partition, the network and sshd, then waits for what ends.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
say() { echo "init: $*" >/dev/console; }
fault=$(cat /etc/lab/fault 2>/dev/null || echo none)
release() { sed -n "s/^CHROMEOS_RELEASE_$1=//p" /etc/lsb-release; }
say "$(release BOARD) $(release VERSION) in slot $(cat /run/slot)"
[ "$fault" = panic ] && exit 1

mount -t tmpfs -o nosuid,nodev none /tmp
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
mount -t ext4 -o noatime,nosuid /dev/vda1 /mnt/stateful_partition || say "the stateful partition cannot be mounted"
state=/mnt/stateful_partition
# What a stateful update left is taken in by names alone, so that a cut leaves the old or the new.
if [ -e $state/.update_available ]; then
	for part in dev_image var_overlay; do
		[ -d $state/${part}_new ] || continue
		rm -rf $state/${part}_old
		[ -d $state/$part ] && mv $state/$part $state/${part}_old
		mv $state/${part}_new $state/$part
		rm -rf $state/${part}_old
	done
	rm -f $state/.update_available
	sync
	say "the stateful update is in place"
fi
mkdir -p $state/unencrypted/dropbear $state/var $state/home
# They belong to whoever made the image; sshd wants them to be root's.
chown -R 0:0 $state/home $state/unencrypted/dropbear
mount -o bind $state/var /var
mount -o bind $state/home /root
cat $state/hostname >/proc/sys/kernel/hostname 2>/dev/null

ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2

if [ "$fault" = hang ]; then
	say "hangs"
	while :; do sleep 1000; done
fi
if [ "$fault" != no-ssh ]; then
	# Keys that a machine was not given it makes for itself, once.
	key=$state/unencrypted/dropbear/host_key
	[ -s $key ] || { dropbearkey -t ed25519 -f $key.new >/dev/null && sync && mv $key.new $key; }
	dropbear -r $key -s -j -P /run/dropbear.pid 2>/dev/console
fi
# A system without sshd cannot be reached; the watchdog is for such.
if [ -s /run/dropbear.pid ] || { usleep 300000 && [ -s /run/dropbear.pid ]; }; then
	watchdog -T 60 -t 3 /dev/watchdog
	say "up after $(cut -d ' ' -f 1 /proc/uptime) seconds"
else
	say "sshd does not run"
fi
# `reboot`, `poweroff` and `halt` say what they want by these signals.
down() {
	say "$1"
	trap '' TERM USR1 USR2
	kill -9 -1
	sync
	umount -a -r
	"$1" -f
}
trap 'down reboot' TERM
trap 'down halt' USR1
trap 'down poweroff' USR2
while :; do
	sleep 1000 &
	wait
done
