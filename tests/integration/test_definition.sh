#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a domain's definition, its TPM and its metadata are after a snapshot that takes the
# definition away meanwhile, against a real libvirtd and QEMU. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
STATE=$DIR/state
EMULATOR_COPY=$DIR/qemu
mkdir "$STATE"
chmod 777 "$DIR" # QEMU's user makes the overlays of external snapshots here

disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }
# A guest with a root disk and a volume, vdb.
make_guest() { # name
    local disk
    disk=$(disk_of "$1")
    mkdir -p "${disk%/*}"
    qemu-img create -q -f qcow2 "$disk" 64M
    for volume in vdb vdc scsi; do qemu-img create -q -f qcow2 "$DIR/$1-$volume" 16M; done
    define_guest "$1" "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='$disk'/><target dev='vda' bus='virtio'/></disk>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='$DIR/$1-vdb'/><target dev='vdb' bus='virtio'/><serial>volume-b</serial></disk>
      <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>" ||
        exit 1
}
volume_c() { # guest
    cat <<XML
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='$DIR/$1-vdc'/><target dev='vdc' bus='virtio'/><serial>volume-c</serial></disk>
XML
}
port() { echo "<interface type='user'><mac address='52:54:00:00:00:0$1'/><model type='virtio'/></interface>"; }
inactive() { $VIRSH dumpxml --inactive --security-info "$NAME-$1" 2>&1; }
is_persistent() { $VIRSH dominfo "$NAME-$1" 2>/dev/null | grep -q '^Persistent: *yes'; }
source_of() { inactive "$1" | xmllint --xpath "string(//disk[target/@dev='$2']/source/@file)" -; }
is_in() { inactive "$1" | grep -qF "$2"; }

end_guest() { # as a guest that powers itself off
    monitor "$1" quit >/dev/null 2>&1
    for _ in $(seq 100); do
        [[ "$(state_of "$1")" = running ]] || return 0
        sleep 0.05
    done
}

# The method is refused, the guest untouched by it, and another one does.
gives_way() { # guest reason description
    local before said
    before=$(picture "$1")
    said=$(probe live "$1") && result 1 "$3: blockrebase must give way" "$said"
    grep -qF "$2" <<<"$said"
    result $? "$3: the reason is told" "$said"
    said=$(probe blockcopy "$1")
    result $? "$3: blockcopy takes it" "$said"
    [ "$before" = "$(picture "$1")" ]
    result $? "$3: left as before" "$(diff <(echo "$before") <(picture "$1"))"
}

test_plain() {
    local before
    make_guest plain
    $VIRSH autostart "$NAME-plain"
    before=$(picture plain)
    hold_at live:copy-started plain live
    ! is_persistent plain
    result $? "plain: the domain is undefined while it is copied" "$(cat "$DIR/said")"
    let_go
    result $? "plain: a snapshot" "$(cat "$DIR/said")"
    [ "$before" = "$(picture plain)" ]
    result $? "plain: left as before" "$(diff <(echo "$before") <(picture plain))"
    remove plain
}

# Volumes and ports that come and change while there is no definition; 1: and the agent dies.
test_changes() { # killed
    local guest=changed$1 description="changed meanwhile" now before after
    [ "$1" = 1 ] && description="$description, agent killed"
    make_guest "$guest"
    $VIRSH autostart "$NAME-$guest"
    before=$(inactive "$guest")
    hold_at live:copy-started "$guest" live "journal=$DIR/journal"
    $VIRSH snapshot-create-as "$NAME-$guest" --disk-only --no-metadata --diskspec vda,snapshot=no \
        --diskspec "vdb,file=$DIR/$guest-overlay,snapshot=external" >/dev/null
    $VIRSH attach-device --live "$NAME-$guest" <(volume_c "$guest")
    $VIRSH attach-device --live "$NAME-$guest" <(port 2)
    if [ "$1" = 1 ]; then
        kill -9 "$pid"
        wait "$pid" 2>/dev/null
        probe recover "$guest" "journal=$DIR/journal" >"$DIR/said"
    else
        let_go
    fi
    result $? "$description: succeeds" "$(cat "$DIR/said")"
    rm -f "$DIR/journal"
    is_persistent "$guest"
    result $? "$description: defined"
    [ "$(source_of "$guest" vdb)" = "$DIR/$guest-overlay" ]
    result $? "$description: the volume's new layer is in the definition" "$(inactive "$guest")"
    [ "$(source_of "$guest" vdc)" = "$DIR/$guest-vdc" ] && is_in "$guest" 52:54:00:00:00:02
    result $? "$description: the new volume and port are in the definition" "$(inactive "$guest")"
    after=$(inactive "$guest")
    now=$(diff <(echo "$before") <(echo "$after") | grep '^<')
    [ "$now" = "<       <source file='$DIR/$guest-vdb'/>" ]
    result $? "$description: nothing else is lost" "$now"
    $VIRSH destroy "$NAME-$guest" && $VIRSH start "$NAME-$guest"
    result $? "$description: the guest starts from it"
    $VIRSH domblklist "$NAME-$guest" | grep -q "vdb .*$guest-overlay"
    result $? "$description: from the new layer"
    remove "$guest"
}

# A SCSI disk goes without the help of a guest.
test_detach() {
    DEVICES="<controller type='scsi' index='0' model='virtio-scsi'/>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='$DIR/detached-scsi'/><target dev='sda' bus='scsi'/></disk>" \
        make_guest detached
    # Pending changes are not what happens meanwhile.
    $VIRSH detach-disk --config "$NAME-detached" vdb
    $VIRSH attach-device --config "$NAME-detached" <(volume_c detached)
    hold_at live:copy-started detached live
    $VIRSH detach-disk --live "$NAME-detached" sda
    let_go
    result $? "detached meanwhile: a snapshot" "$(cat "$DIR/said")"
    is_persistent detached && ! is_in detached "$DIR/detached-scsi"
    result $? "detached meanwhile: the volume is not in the definition" "$(inactive detached)"
    ! is_in detached volume-b && [ "$(source_of detached vdc)" = "$DIR/detached-vdc" ]
    result $? "detached meanwhile: what was meant for the next start is" "$(inactive detached)"
    remove detached
}

test_tpm() {
    local keys
    DEVICES="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>" make_guest tpm
    keys=/var/lib/libvirt/swtpm/$(uuid_of tpm)/tpm2/tpm2-00.permall
    [ -e "$keys" ]
    result $? "TPM: there is something to lose"
    gives_way tpm TPM TPM
    hold_at live:copy-started tpm live
    end_guest tpm
    let_go
    [ -e "$keys" ] && is_persistent tpm
    result $? "TPM: a guest that ends while blockrebase is asked for keeps its keys" "$(cat "$DIR/said")"
    $VIRSH start "$NAME-tpm" 2>/dev/null
    hold_at live:copy-started tpm blockcopy
    end_guest tpm
    let_go
    [ -e "$keys" ] && is_persistent tpm
    result $? "TPM: a guest that ends while it is copied keeps its keys" "$(cat "$DIR/said")"
    $VIRSH undefine "$NAME-tpm" >/dev/null
}

# Firmware variables outlive the transient domain.
test_firmware() {
    local variables=/var/lib/libvirt/qemu/nvram/$NAME-uefi_VARS.fd sum
    OS="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>" make_guest uefi
    sum=$(sha256sum <"$variables")
    hold_at live:copy-started uefi live
    end_guest uefi
    let_go
    [ "$sum" = "$(sha256sum <"$variables")" ] && is_persistent uefi && is_in uefi "$variables"
    result $? "UEFI: a guest that ends while it is copied keeps its variables" "$(cat "$DIR/said")"
    remove uefi
}

test_metadata() {
    make_guest checkpoint
    $VIRSH checkpoint-create-as "$NAME-checkpoint" first >/dev/null
    gives_way checkpoint checkpoints "checkpoint"
    $VIRSH checkpoint-list "$NAME-checkpoint" | grep -q first
    result $? "checkpoint: it is there"
    $VIRSH checkpoint-delete --metadata "$NAME-checkpoint" first >/dev/null
    probe live checkpoint >/dev/null
    result $? "checkpoint: blockrebase, once there is none"
    $VIRSH snapshot-create-as "$NAME-checkpoint" first --disk-only \
        --diskspec vda,snapshot=no --diskspec "vdb,file=$DIR/first" >/dev/null
    gives_way checkpoint snapshots "snapshot"
    $VIRSH snapshot-delete --metadata "$NAME-checkpoint" first >/dev/null
    remove checkpoint
}

# An upgrade has removed what the definition needs.
test_emulator() {
    printf '#!/bin/sh\nexec /usr/bin/qemu-system-x86_64 "$@"\n' >"$EMULATOR_COPY"
    chmod 755 "$EMULATOR_COPY"
    EMULATOR=$EMULATOR_COPY make_guest emulator
    rm "$EMULATOR_COPY"
    gives_way emulator "libvirt would not define it again" "definition that libvirt does not take"
    is_persistent emulator
    result $? "definition that libvirt does not take: it is there"
    remove emulator
}

# The agent dies, and when it comes back its snapshots_directory is another, or written otherwise.
test_folder() {
    local before SNAPSHOTS=$SNAPSHOTS/
    make_guest folder
    $VIRSH autostart "$NAME-folder"
    before=$(picture folder)
    hold_at live:copy-started folder live "journal=$DIR/journal"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    mkdir "$DIR/elsewhere"
    SNAPSHOTS=$DIR/elsewhere probe recover folder "journal=$DIR/journal" >"$DIR/said"
    result $? "another snapshots_directory: recovers" "$(cat "$DIR/said")"
    [ "$before" = "$(picture folder | grep -v nova-snapshot-)" ]
    result $? "another snapshots_directory: the guest is as before" "$(picture folder)"
    [ -n "$(ls "$SNAPSHOTS")" ]
    result $? "another snapshots_directory: files elsewhere are not removed"
    ln -s "$SNAPSHOTS" "$DIR/link"
    SNAPSHOTS=$DIR/link/ probe recover folder "journal=$DIR/journal" >"$DIR/said"
    result $? "the same by a link: recovers" "$(cat "$DIR/said")"
    [ "$before" = "$(picture folder)" ]
    result $? "the same by a link: left as before" "$(picture folder)"
    rm "$DIR/journal"
    remove folder
}

# nova-compute has taken the domain away, its disk is there yet; 1: and the agent has died before.
test_deletion() { # killed
    local guest=deleted$1 description="deleted, disk left"
    [ "$1" = 1 ] && description="$description, agent killed"
    make_guest "$guest"
    hold_at live:copy-started "$guest" live deleted=1 "journal=$DIR/journal"
    [ "$1" = 1 ] && kill -9 "$pid" && wait "$pid" 2>/dev/null
    $VIRSH destroy "$NAME-$guest" >/dev/null
    if [ "$1" = 1 ]; then
        probe recover "$guest" deleted=1 "journal=$DIR/journal" >"$DIR/said"
        result $? "$description: recovers" "$(cat "$DIR/said")"
    else
        let_go
        result $((!$?)) "$description: fails" "$(cat "$DIR/said")"
    fi
    ! $VIRSH dominfo "$NAME-$guest" >/dev/null 2>&1 && [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "$description: no domain, no file" "$(cat "$DIR/said"; ls -lR "$SNAPSHOTS")"
    rm -f "$DIR/journal"
    remove "$guest"
}

# What libvirt does at the word of a client alone (virDomainQemuAgentCommand) marks a domain.
test_taint() {
    ! nm -D "$PROBE" | grep virDomainQemu
    result $? "no call that taints a domain"
}

for test in taint plain "changes 0" "changes 1" detach tpm firmware metadata emulator folder "deletion 0" "deletion 1"; do
    # shellcheck disable=SC2086
    test_$test
done
echo "1..$count"
[ "$failures" -eq 0 ]
