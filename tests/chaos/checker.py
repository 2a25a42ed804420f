# SPDX-License-Identifier: Apache-2.0
"""
Judges from outside what a fault has left: by libvirt, QEMU, the guest's agent, the disk, Glance,
Cinder and Nova's database, never by the agent's own word.

    lost     a guest, its definition or an image that was promised; an outcome that is not true
    leaked   files, jobs, snapshots, images nobody was told of, a guest that stays frozen
    stuck    a task state or an action event that does not come to its end
"""

import difflib
import os
import time
from dataclasses import dataclass, field

import content
import guest
from lab import LAB, SNAPSHOTS, helper_processes, sql, wait_until


GRACE_S = 30


@dataclass
class Expect:
    """What a fault itself changes; None: as before."""
    state: str = None            # of the guest
    gone: bool = False           # the server was deleted
    image_deleted: bool = False  # by its owner


@dataclass
class Before:
    server: str
    facts: dict
    vm_state: str
    faults: int
    images: set
    snapshots: set
    state_dir: str
    kept: set
    has_agent: bool = False
    volumes: list = field(default_factory=list)
    in_ceph: bool = False


@dataclass
class Outcome:
    text: str
    seconds: float
    violations: list
    records: list = field(default_factory=list)  # files of the agent that may stay a minute


def instance_row(server):
    rows = sql("SELECT IFNULL(vm_state, ''), IFNULL(task_state, ''), deleted FROM instances "
               f"WHERE uuid = '{server}'")
    vm_state, task_state, deleted = rows[0]
    return {"vm_state": vm_state, "task_state": task_state, "gone": deleted != "0"}


def fault_count(server):
    return int(sql(f"SELECT COUNT(*) FROM instance_faults WHERE instance_uuid = '{server}'")[0][0])


def event_row(request_id, event):
    """(result, finished); an event that never began has neither."""
    rows = sql("SELECT IFNULL(e.result, ''), IFNULL(e.finish_time, '') FROM instance_actions a "
               "JOIN instance_actions_events e ON e.action_id = a.id "
               f"WHERE a.request_id = '{request_id}' AND e.event = '{event}'")
    return (rows[0][0], bool(rows[0][1])) if rows else ("", False)


def image_status(image):
    rows = sql(f"SELECT status FROM glance.images WHERE id = '{image}' AND deleted = 0")
    return rows[0][0] if rows else "gone"


def images():
    return {row[0] for row in sql("SELECT id FROM glance.images WHERE deleted = 0")}


def volume_snapshots():
    return {row[0]: row[1] for row in sql("SELECT id, status FROM cinder.snapshots WHERE deleted = 0")}


def look(server, state_dir, has_agent=False, volumes=(), in_ceph=False):
    """Before a fault: what has to be as now afterwards."""
    return Before(server, guest.facts(server), instance_row(server)["vm_state"],
                  fault_count(server), images(), set(volume_snapshots()), state_dir,
                  set(records(state_dir)), has_agent, list(volumes), in_ceph)


# --- the request's own end
def settle(attempt, timeout):
    """Waits for it; what is not over by then is for judge() to tell."""
    begin = time.monotonic()
    wait_until(attempt.settled, timeout, 0.25)
    return time.monotonic() - begin


def judge(before, attempt, expect, seconds=0.0, grace=GRACE_S):
    """Everything, with some seconds for what is cleaned up after the request's end."""
    violations = []

    def clean():
        violations[:] = attempt.judge(before, expect) + judge_host(before, expect)
        return not violations
    wait_until(clean, grace, 0.5)
    wait_until(lambda: not set(records(before.state_dir)) - before.kept, 2)
    return Outcome(attempt.told(), seconds, violations,
                   sorted(set(records(before.state_dir)) - before.kept))


def records(state_dir):
    """What the agent keeps for its next start."""
    return [os.path.join(folder, name) for folder, _, names in os.walk(state_dir)
            for name in names if not name.endswith(".lock") and not name.startswith("failpoint")
            and size(os.path.join(folder, name))]


def size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


# --- guest and host
def judge_host(before, expect):
    return judge_guest(before, expect) + judge_files() + judge_nova(before, expect) + \
        judge_volumes(before, expect)


def judge_nova(before, expect):
    row = instance_row(before.server)
    found = []
    if expect.gone:
        return [] if row["gone"] else [("stuck", "the server is not deleted")]
    if row["task_state"]:
        found.append(("stuck", f"task_state {row['task_state']}"))
    if row["vm_state"] != before.vm_state and expect.state is None:
        found.append(("lost", f"vm_state {row['vm_state']} instead of {before.vm_state}"))
    return found


def judge_guest(before, expect):
    now = guest.facts(before.server)
    if expect.gone:
        return [("leaked", "domain of a deleted server")] if now else []
    if not now:
        return [("lost", "libvirt knows no such domain")]
    state = expect.state or before.facts["state"]
    found = []
    if now["state"] != state:
        found.append(("lost", f"the guest is {now['state']} instead of {state}"))
    if not now["persistent"]:
        found.append(("lost", "the domain is transient"))
    elif now["definition"] != before.facts["definition"]:
        found.append(("lost", "another definition: " + difference(
            before.facts["definition"], now["definition"])))
    if now["persistent"] and now["autostart"] != before.facts["autostart"]:
        found.append(("lost", "autostart changed"))
    if now["managed save"] != before.facts["managed save"]:
        found.append(("leaked", "managed save image"))
    found += [("leaked", what) for what in now["copies"]]
    return found + (judge_liveness(before) if not found and state != "shut off" else [])


def difference(before, now):
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
    return " ".join(line for line in lines if not line.startswith(("---", "+++", "@@")))[:160]


def judge_liveness(before):
    if not before.has_agent:
        return [] if guest.is_alive(before.server) else [("lost", "the guest's disk fails")]
    if before.facts["state"] != "running":
        return []
    frozen = guest.is_frozen(before.server)
    if frozen is None:
        return [("lost", "the guest's agent does not answer")]
    if frozen:
        return [("leaked", "the guest is frozen")]
    return [] if guest.keeps_writing(before.server) else [("lost", "the guest writes no more")]


def judge_files():
    found = []
    for folder in (SNAPSHOTS, f"{LAB}/nova/instances/snapshots"):
        if os.path.isdir(folder):
            found += [("leaked", f"{folder}/{name}") for name in os.listdir(folder)]
    found += [("leaked", f"process {pid} {name}") for pid, name in helper_processes()]
    return found


def judge_volumes(before, expect):
    if expect.gone:
        return []
    found = [("leaked", f"in Ceph: {name}") for name in content.stray_rbd(before.server)] \
        if before.in_ceph else []
    for volume in before.volumes:
        status = sql(f"SELECT status FROM cinder.volumes WHERE id = '{volume}'")[0][0]
        if status != "in-use":
            found.append(("stuck", f"volume {status}"))
        found += [("leaked", f"layer {name}") for name in content.stray_layers(volume)]
    return found


# --- images
def judge_image(before, attempt, expect):
    extra = images() - before.images - {attempt.image}
    return judge_record(before, attempt, expect) + judge_snapshots(before, attempt) + \
        [("leaked", f"unknown image {image}") for image in extra]


def judge_record(before, attempt, expect):
    """The image is active, complete and the event says so; or it is gone and so said."""
    status = image_status(attempt.image)
    result, finished = event_row(attempt.request_id, attempt.event)
    found = []
    if attempt.event and not finished and not expect.gone:
        found.append(("stuck", f"event {attempt.event} is unfinished"))
    if status not in ("active", "gone"):
        found.append(("leaked", f"image left {status}"))
    elif status == "active":
        found += [("lost", what) for what in attempt.defects(before)]
        if result == "Error":
            found.append(("leaked", "active image, but event Error"))
    elif result == "Success" and not (expect.image_deleted or expect.gone):
        found.append(("lost", "event Success without an image"))
    if result == "Error" and fault_count(before.server) <= before.faults:
        found.append(("lost", "no fault recorded"))
    return found


def judge_snapshots(before, attempt):
    """Snapshots of volumes exist for as long as an image refers to them, and are usable."""
    present = volume_snapshots()
    wanted = set(attempt.snapshots())
    found = [("lost", f"the image's volume snapshot {s} is {present.get(s, 'gone')}")
             for s in wanted if present.get(s) != "available"]
    for snapshot in set(present) - before.snapshots - wanted:
        kind = "stuck" if present[snapshot] in ("creating", "deleting") else "leaked"
        found.append((kind, f"volume snapshot {present[snapshot]}"))
    return found
