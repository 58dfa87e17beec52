#!/bin/sh
# The boot selector: the first program of a machine. It takes the slot of the highest priority that was proven good or has tries left, spends
# one of the tries before it goes on, checks the slot, and hands over to its /sbin/init. A slot that does not check out is not tried again.
#
# A system that hangs or panics comes back here: the kernel restarts after a panic, and the watchdog, started here, restarts a
# machine whose system does not come up far enough to feed it.
export PATH=/bin:/sbin
disk=/dev/vda
say() { echo "selector: $*" >/dev/console; }

mount -t proc -o nosuid,nodev,noexec none /proc
mount -t sysfs -o nosuid,nodev,noexec none /sys
mount -t devtmpfs -o nosuid none /dev
mount -t tmpfs -o nosuid,nodev,mode=755 none /run
mount -t tmpfs -o nosuid,nodev none /tmp
watchdog=20
for word in $(cat /proc/cmdline); do
	case $word in lab.watchdog=*) watchdog=${word#*=} ;; esac
done
while read -r module; do
	case $module in softdog.ko) set -- soft_margin="$watchdog" nowayout=1 ;; *) set -- ;; esac
	insmod "/modules/$module" "$@"
done </modules/order

# mdev is not needed: the kernel makes the nodes. The disk shows up a moment after its driver.
waited=0
while [ ! -b ${disk}3 ] && [ $waited -lt 100 ]; do
	usleep 50000
	waited=$((waited + 1))
done

# Prints the number of the partition to be started; nothing if there is none.
choose() {
	best= best_priority=0
	for number in 2 3; do
		set -- $(cgpt show -i $number $disk | sed 's/[a-z]*=//g')
		if [ "$1" -gt $best_priority ] && { [ "$3" = 1 ] || [ "$2" -gt 0 ]; }; then
			best=$number best_priority=$1
		fi
	done
	echo $best
}

while slot=$(choose) && [ -n "$slot" ]; do
	name=$(echo "$slot" | tr 23 AB)
	set -- $(cgpt show -i "$slot" $disk | sed 's/[a-z]*=//g')
	if [ "$3" = 1 ]; then
		say "slot $name, which is good"
	else
		cgpt add -i "$slot" -T $(($2 - 1)) $disk
		say "slot $name on trial, $(($2 - 1)) tries left"
	fi
	if mount -t ext4 -o ro,noatime ${disk}"$slot" /root 2>/dev/null; then
		if [ -x /root/sbin/init ] && (cd /root && sha256sum -c -s etc/manifest.sha256); then
			break
		fi
		umount /root
	fi
	say "slot $name is broken"
	cgpt add -i "$slot" -P 0 -T 0 -S 0 $disk
done
if [ -z "$slot" ]; then
	say "no slot can be started; the machine stops here"
	while :; do sleep 1000; done
fi

echo "$name" >/run/slot
echo "${disk}$slot" >/run/rootdev
# From here on somebody has to feed it.
exec 9>/dev/watchdog
echo >&9
exec 9>&-
umount /tmp
for place in proc sys dev run; do mount -o move /$place /root/$place; done
exec switch_root /root /sbin/init
