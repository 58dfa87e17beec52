#!/bin/sh
# Runs in the sandbox, as its root: makes the ext4 file system /build/image of the tree /build/root, so that the same tree gives the same
# bytes. LABEL, UUID and DATABASE (rpm's) are given; KIB, or 0 for what fits and SLACK_KIB; SOURCE_DATE_EPOCH is the newest time in it.
set -eu
root=/build/root
image=/build/image
at=$SOURCE_DATE_EPOCH

# What only a running system has, and what rpm leaves while it works.
for name in dev proc sys run tmp; do
    if [ -d "$root/$name" ] && [ ! -L "$root/$name" ]; then
        find "$root/$name" -mindepth 1 -delete
    fi
done
rm -f "$root$DATABASE/.rpm.lock"
# What its database has beside it once all is written: how processes shared it.
if [ ! -s "$root$DATABASE/rpmdb.sqlite-wal" ]; then
    rm -f "$root$DATABASE/rpmdb.sqlite-wal" "$root$DATABASE/rpmdb.sqlite-shm"
fi

# The files that the configuration names.
if [ -e /run/packages/files.tar ]; then
    tar --extract --file /run/packages/files.tar --directory "$root" --no-same-owner --same-permissions --keep-directory-symlink
fi
find "$root" -newermt "@$at" -exec touch --no-dereference --date "@$at" {} +

entries=$(find "$root" | wc -l)
inodes=$((entries + entries / 8 + 64))
if [ "$KIB" = 0 ]; then
    blocks=$(find "$root" -type f -printf '%s\n' | awk '{ sum += int(($1 + 4095) / 4096) } END { printf "%d", sum }')
    others=$(find "$root" ! -type f | wc -l)
    KIB=$(((blocks + blocks / 32 + 2 * others + inodes / 16 + 512) * 4 + SLACK_KIB))
    KIB=$(((KIB + 1023) / 1024 * 1024))
fi
export E2FSPROGS_FAKE_TIME="$at"
mkfs.ext4 -q -F -b 4096 -I 256 -m 0 -N "$inodes" -L "$LABEL" -U "$UUID" -O '^has_journal,^resize_inode' \
    -E "hash_seed=$UUID,root_owner=0:0,lazy_itable_init=0,nodiscard" -d "$root" "$image" "${KIB}k"

# Times that nobody can set in a tree were copied from it: those of a change and of reading.
dumpe2fs "$image" 2> /dev/null | awk -v at="$at" '
    /^Inode count:/ { count = $3 }
    /^  Free inodes:/ {
        sub(/^  Free inodes: */, "")
        many = split($0, parts, /, */)
        for (part = 1; part <= many; part++) {
            ends = split(parts[part], range, "-")
            last = ends > 1 ? range[2] : range[1]
            for (inode = range[1] + 0; inode <= last + 0 && inode > 0; inode++) free[inode] = 1
        }
    }
    END {
        for (inode = 1; inode <= count; inode++)
            if ((inode == 2 || inode > 10) && !(inode in free)) {
                print "set_inode_field <" inode "> ctime @" at
                print "set_inode_field <" inode "> atime @" at
            }
    }' > /build/times
debugfs -w -f /build/times "$image" > /build/said 2>&1 || { cat /build/said; exit 1; }
e2fsck -f -n "$image" > /build/said 2>&1 || { cat /build/said; exit 1; }
