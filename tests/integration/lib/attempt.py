# SPDX-License-Identifier: Apache-2.0
"""A request for an image that may fail, and what is seen of it from outside."""

from cloud import wait_for

EVENTS = {"createImage": "compute_snapshot_instance", "createBackup": "compute_backup_instance"}
BODIES = {"createImage": {"name": "it-failure"},
          "createBackup": {"name": "it-failure", "backup_type": "daily", "rotation": 1}}


class Attempt:
    """`seen` is what tenants, operators and other services see, without what differs each time."""

    def __init__(self, cloud, server, verb="createImage"):
        self.cloud, self.server, self.verb = cloud, server, verb
        answer = cloud.nova("POST", f"/servers/{server}/action", {verb: BODIES[verb]}, ok=False)
        self.request_id = answer.headers["x-openstack-request-id"]
        self.seen = {"status": answer.status_code}
        self.image = answer.json()["image_id"] if answer.status_code == 202 else None
        if self.image:
            cloud.images.append(self.image)

    def settle(self, stuck=False):
        """Waits for its end; `stuck`: the task state need not come to one."""
        if self.image:
            event = self.cloud.wait_event(self.server, self.request_id, EVENTS[self.verb], 60)
            record = self.cloud.image(self.image)
            self.seen.update(result=event["result"], details=self.plain(event["details"]),
                             image=record and record["status"])
        self.seen["state"] = wait_for("end of the task state", lambda: self.state(stuck), 30)
        return self

    def state(self, stuck):
        answer = self.cloud.nova("GET", f"/servers/{self.server}", ok=False)
        if answer.status_code == 404:
            return "no server"
        now = answer.json()["server"]
        task_state = now["OS-EXT-STS:task_state"]
        return (task_state is None or stuck) and (now["OS-EXT-STS:vm_state"], task_state)

    def plain(self, text):
        return text and text.replace(str(self.image), "IMAGE").replace(self.server, "SERVER")

    def add_messages(self, messages):
        """What a compute service has told of it: to nova-conductor and in notifications."""
        self.seen.update(faults=[], exceptions=[], notifications=[])
        for entry in messages:
            message = entry["message"]
            if not isinstance(message, dict) or message.get(
                    "_context_request_id") != self.request_id:
                continue
            if message.get("method") == "object_action":
                self.add_fault(message["args"])
            elif message.get("publisher_id", "").endswith(self.cloud.env["LAB_HOST"]):
                self.add_notification(entry["routing_keys"][0], message)

    def add_fault(self, args):
        data = args["objinst"]["nova_object.data"]
        if args["objinst"]["nova_object.name"] == "InstanceFault":
            words = self.plain(data["message"])
            self.seen["faults"].append(data["code"] if words == self.seen.get("details")
                                       else (data["code"], words))

    def add_notification(self, topic, message):
        payload = message["payload"]
        told = sorted(payload)
        if "nova_object.data" in payload:
            told = (payload["nova_object.name"], payload["nova_object.version"])
            if "exception" in payload["nova_object.data"]:
                self.seen["exceptions"].append(payload["nova_object.data"]["exception"])
        if "exception" in payload:
            told += [type(payload["exception"]).__name__, sorted(payload["args"])]
        self.seen["notifications"].append(
            (topic, message["event_type"], message["priority"], message["publisher_id"], told))
