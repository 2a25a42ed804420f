#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first five minutes of docs/libvirt.md, typed: each block ends well, one after the other. On the
# page's own domain with other names, since a machine may have such ones. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
# shellcheck source=tests/integration/lib/checkpoints.sh
. tests/integration/lib/checkpoints.sh

# The tool as it is called there, with a folder of the test for its records.
mkdir "$DIR/bin" "$DIR/backup"
cat >"$DIR/bin/nova-snapshot" <<WRAPPER
#!/bin/sh
case \$2 in checkpoints) exec $TOOL "\$@" ;; esac
exec $TOOL "\$@" --state-dir $STATE
WRAPPER
chmod 755 "$DIR/bin/nova-snapshot"

blocks() {
    awk '/^## Five minutes/ { on = 1 } /^## What it does/ { on = 0 }
        on && /^```/ { inside = !inside; n += inside; next }
        on && inside { print > dir "/block" n }
        END { print n }' dir="$DIR" docs/libvirt.md
}
here() { # block
    sed -e "s|/var/lib/libvirt/images|$DISKS|g" -e "s|/backup|$DIR/backup|g" \
        -e "s/<name>web</<name>$NAME-web</" -e "s/\\b\(image\|checkpoints\?\|revert\|save\|start\|delete-checkpoint\) web\b/\1 $NAME-web/" "$1"
}
typed() { # file: each line has to end well
    PATH=$DIR/bin:$PATH bash -e -o pipefail "$1" 2>&1
}

number=$(blocks)
[ "$number" -eq 4 ]
result $? "the page has a domain, a way back, a guest that stands still, and increments" "$number blocks"
for ((n = 1; n <= number; n++)); do
    # So that what holds nothing is told from what holds the disk.
    [ "$n" -eq 1 ] || write_disk web "0x5$n" 100M 64k
    here "$DIR/block$n" >"$DIR/typed"
    said=$(typed "$DIR/typed")
    result $? "block $n: $(grep -m 1 -o 'virsh define\|nova-snapshot domain [a-z-]*' "$DIR/typed")" "$said"
done
[ "$(state_of web)" = running ]
result $? "the guest runs in the end" "$(state_of web)"
qemu-io -f qcow2 -c 'read -q -P 0x52 100M 64k' "$DIR/backup/web.qcow2"
result $? "the first image holds what was there then"
flush web
for image in web-monday/vda.qcow2 web-tuesday/vda.qcow2; do
    said=$(qemu-img compare -U -F qcow2 "$DISKS/web.qcow2" "$DIR/backup/$image" 2>&1)
    result $? "$image holds what the disk does" "$said"
done
said=$(gzip -dc "$DIR/backup/web.raw.gz" | wc -c)
[ "$said" -eq $((1 << 30)) ]
result $? "the raw image is as large as the disk" "$said"
[ -z "$(find "$STATE/records" -type f)" ]
result $? "nothing is written down any more" "$(cat "$STATE"/records/* 2>&1)"
echo "1..$count"
[ "$failures" -eq 0 ]
