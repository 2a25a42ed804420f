#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a snapshot, and that nothing is lost, left behind or stuck afterwards."""

import datetime
import os
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import METHOD, Agent, assert_nothing_left
from cloud import (LAB, Cloud, assert_same_content, block_jobs, disk_file, domain_state, domain_xml,
                   run, wait_for, write_pattern)
from failpoint import Failpoint
from proxy import HoldingProxy


def virsh(*argv):
    return run("virsh", "-c", "qemu:///system", *argv)


COPIED = {"snapshot_agent": {
    "live_snapshot_method": "blockcopy" if METHOD == "stream" else METHOD}}


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.base = cls.cloud.image_named("lab-base")
        cls.server = cls.cloud.create_server("it-faults", cls.base)
        write_pattern(cls.server, "0x33", "100M", "8M")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def setUp(self):
        self.cloud.action(self.server, "os-resetState", {"state": "active"})

    def proxy(self, hold_after=None):
        host, port = self.cloud.env["LAB_GLANCE_URL"].split("//")[1].split(":")
        proxy = HoldingProxy(host, int(port), hold_after)
        self.addCleanup(proxy.close)
        return proxy

    def image_gone(self, image):
        return wait_for(f"end of image {image}", lambda: self.cloud.image(image) is None)

    def assert_unharmed(self, server, state="running"):
        self.assertEqual(domain_state(server), state)
        domain_xml(server)  # still defined
        self.assertIn("Persistent:     yes", virsh("dominfo", server))
        if state == "running":
            self.assertIn("No current block job", block_jobs(server))
        assert_nothing_left()

    def assert_failed(self, server, image, request_id, word):
        event = self.cloud.wait_event(server, request_id)
        self.assertEqual(event["result"], "Error", event)
        self.assertIn(word, event["details"])
        self.image_gone(image)
        wait_for("task state None",
                 lambda: self.cloud.server(server)["OS-EXT-STS:task_state"] is None)

    def test_server_deleted_meanwhile(self):
        """server deleted during the upload: no image, no file, no complaint"""
        server = self.cloud.create_server("it-deleted", self.base)
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({"glance": {"api_servers": proxy.url}}) as agent:
            image, _ = self.cloud.create_image(server, "deleted")
            self.assertTrue(proxy.held.wait(60))
            self.cloud.delete_server(server)
            proxy.release()
            agent.wait_log("Instance disappeared during snapshot|the image is complete", 60)
            log = agent.log()
        self.assertNotIn(" ERROR ", log)
        record = self.cloud.image(image)
        self.assertTrue(record is None or record["status"] == "active", record)
        assert_nothing_left()

    def test_image_deleted_meanwhile(self):
        """image deleted during the upload: the server is free again, no error for the tenant"""
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({"glance": {"api_servers": proxy.url}}) as agent:
            image, request_id = self.cloud.create_image(self.server, "image-deleted")
            self.assertTrue(proxy.held.wait(60))
            self.cloud.glance("DELETE", f"/v2/images/{image}")
            proxy.release()
            agent.wait_log("Image not found during snapshot", 60)
            self.cloud.wait_server(self.server, "ACTIVE")
            self.assertEqual(self.cloud.wait_event(self.server, request_id)["result"], "Success")
        self.assert_unharmed(self.server)

    def slow_copy(self, agent, server, name):
        """A snapshot whose copy of the disk goes on for minutes. Its image and request."""
        write_pattern(server, "0x66", "300M", "256M")
        held = Failpoint(f"{agent.folder}/state", "live:copy-started")
        image, request_id = self.cloud.create_image(server, name)
        held.wait()
        virsh("blockjob", server, "vda", "--bandwidth", "1")
        held.let_go()
        wait_for("the agent's wait for the copy", lambda: not held.is_reached())
        self.assertIn("Bandwidth limit", block_jobs(server))
        return image, request_id

    def logged_at(self, agent, pattern):
        agent.wait_log(pattern, 60)
        line = next(line for line in agent.log().splitlines() if re.search(pattern, line))
        return datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").timestamp()

    def test_image_deleted_while_copied(self):
        """image deleted while the disk is copied: over within 2 s, the guest as before"""
        xml = domain_xml(self.server)
        with Agent(COPIED) as agent:
            image, request_id = self.slow_copy(agent, self.server, "copied-image-deleted")
            self.cloud.glance("DELETE", f"/v2/images/{image}")
            deleted = time.time()
            self.assertLess(self.logged_at(agent, "Image not found during snapshot") - deleted, 2)
            self.cloud.wait_server(self.server, "ACTIVE")
            self.assertEqual(self.cloud.wait_event(self.server, request_id)["result"], "Success")
            self.assertNotIn("beginning image upload", agent.log())
            self.assertNotIn(" ERROR ", agent.log())
        self.assertEqual(domain_xml(self.server), xml)
        self.assert_unharmed(self.server)

    def test_server_deleted_while_copied(self):
        """server deleted while its disk is copied: over at once, nothing left of it"""
        server = self.cloud.create_server("it-deleted-copied", self.base)
        with Agent(COPIED) as agent:
            image, _ = self.slow_copy(agent, server, "copied-server-deleted")
            self.cloud.delete_server(server)
            heard = self.logged_at(agent, "the instance is being deleted")
            # libvirt answers nobody while it ends the guest.
            self.assertLess(self.logged_at(agent, "Instance disappeared during snapshot") - heard, 5)
            self.image_gone(image)
            self.assertNotIn("beginning image upload", agent.log())
            self.assertNotIn(" ERROR ", agent.log())
        self.assertNotIn(server, virsh("list", "--all", "--uuid"))
        self.assertFalse(os.path.exists(disk_file(server)))
        assert_nothing_left()

    def end_and_start(self, agent, image):
        """As an upgrade of the package does it. Nobody is told of a failure."""
        agent.stop()
        self.assertIn(self.cloud.image(image)["status"], ("queued", "saving"))
        self.assertIsNotNone(self.cloud.server(self.server)["OS-EXT-STS:task_state"])
        self.assertIn("No current block job", block_jobs(self.server))
        agent.start()

    def assert_goes_on(self, agent, image, request_id):
        self.cloud.wait_image(image)
        self.assertEqual(self.cloud.wait_event(self.server, request_id)["result"], "Success")
        self.cloud.wait_server(self.server, "ACTIVE")
        self.assertNotIn(" ERROR ", agent.log())

    def test_ended_while_copied(self):
        """agent upgraded while the disk is copied: the guest as before, the snapshot is taken"""
        xml = domain_xml(self.server)
        with Agent({**COPIED, "DEFAULT": {"graceful_shutdown_timeout": 4}}) as agent:
            image, request_id = self.slow_copy(agent, self.server, "upgraded-copied")
            self.end_and_start(agent, image)
            self.assertEqual(domain_xml(self.server), xml)
            agent.wait_log("snapshot_instance is begun again")
            self.assert_goes_on(agent, image, request_id)
        assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed(self.server)

    def test_ended_while_uploaded(self):
        """agent upgraded during the upload: it goes on from what was made"""
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({**COPIED, "glance": {"api_servers": proxy.url},
                    "DEFAULT": {"graceful_shutdown_timeout": 4}}) as agent:
            image, request_id = self.cloud.create_image(self.server, "upgraded-uploaded")
            self.assertTrue(proxy.held.wait(60))
            timer = threading.Timer(6, proxy.drop)  # Glance hears of the end
            timer.start()
            self.end_and_start(agent, image)
            timer.join()
            agent.wait_log("image of .* bytes was complete before the restart, uploading it")
            self.assert_goes_on(agent, image, request_id)
        assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed(self.server)

    def test_connection_dropped(self):
        """connection to Glance lost midway: sent again from byte 0, the image is whole"""
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({"glance": {"api_servers": proxy.url}}) as agent:
            image, request_id = self.cloud.create_image(self.server, "dropped")
            self.assertTrue(proxy.held.wait(60))
            proxy.drop()
            self.cloud.wait_image(image)
            self.assertEqual(self.cloud.wait_event(self.server, request_id)["result"], "Success")
            self.assertNotIn(" ERROR ", agent.log())
        assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed(self.server)

    @tap.any_method
    def test_broker_restarted(self):
        """broker restarted during the snapshot: it ends well and the agent attaches again"""
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({"glance": {"api_servers": proxy.url}}) as agent:
            image, request_id = self.cloud.create_image(self.server, "broker")
            self.assertTrue(proxy.held.wait(60))
            ctl = self.cloud.env["LAB_RABBITMQCTL"]
            run(ctl, "stop_app")
            run(ctl, "start_app")
            proxy.release()
            self.cloud.wait_image(image)
            self.assertEqual(self.cloud.wait_event(self.server, request_id)["result"], "Success")
            self.cloud.wait_server(self.server, "ACTIVE")
            agent.wait_log("attached to", 90, times=2)
            record = self.cloud.snapshot(self.server, "broker-again")
            self.assertIn(record["id"], agent.log())
        assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed(self.server)

    @tap.any_method
    def test_state_reset_by_admin(self):
        """task state reset by an administrator during the upload: the whole image is kept"""
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({"glance": {"api_servers": proxy.url}}):
            image, request_id = self.cloud.create_image(self.server, "reset")
            self.assertTrue(proxy.held.wait(60))
            self.cloud.action(self.server, "os-resetState", {"state": "active"})
            proxy.release()
            self.cloud.wait_image(image)
            self.cloud.wait_event(self.server, request_id)
        assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed(self.server)

    @tap.any_method
    def test_glance_unreachable(self):
        """Glance unreachable from the agent: nova-compute takes the snapshot, whose Glance answers"""
        with Agent({"glance": {"api_servers": "http://127.0.0.1:9", "num_retries": "0"}},
                   wait_attached=False) as agent:
            agent.wait_log("this host cannot take snapshots, requests go to nova-compute until it can: "
                           "Glance cannot be reached")
            image, request_id = self.cloud.create_image(self.server, "no-glance")
            event = self.cloud.wait_event(self.server, request_id)
            self.assertEqual(event["result"], "Success")
            self.cloud.wait_image(image)
        self.cloud.glance("DELETE", f"/v2/images/{image}")
        self.assert_unharmed(self.server)

    @tap.any_method
    def test_no_domain(self):
        """the hypervisor knows no such guest: image gone, state cleared, fault recorded"""
        server = self.cloud.create_server("it-no-domain", self.base)
        xml = domain_xml(server)
        self.cloud.action(server, "os-stop", wait="SHUTOFF")
        virsh("undefine", server)
        with Agent():
            image, request_id = self.cloud.create_image(server, "no-domain")
            self.assert_failed(server, image, request_id, server)
        self.define(xml)
        self.cloud.delete_server(server)
        assert_nothing_left()

    def define(self, xml):
        path = f"{LAB}/run/it-domain.xml"
        with open(path, "w", encoding="utf-8") as out:
            out.write(xml)
        virsh("define", path)
        os.unlink(path)

    @tap.any_method
    def test_forged_backing_file(self):
        """a root disk whose header names another backing file is refused, the guest untouched"""
        server = self.cloud.create_server("it-forged", self.base)
        self.cloud.action(server, "os-stop", wait="SHUTOFF")
        run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow",
            disk_file(server))
        with Agent():
            image, request_id = self.cloud.create_image(server, "forged")
            self.assert_failed(server, image, request_id, "/etc/shadow")
        self.assert_unharmed(server, "shut off")
        self.cloud.delete_server(server)

    @tap.any_method
    def test_lying_format(self):
        """a root disk that is not what the domain says is refused, the guest untouched"""
        server = self.cloud.create_server("it-lying", self.base)
        self.cloud.action(server, "os-stop", wait="SHUTOFF")
        disk = disk_file(server)
        run("qemu-img", "create", "-f", "raw", disk, "1G")
        with Agent():
            image, request_id = self.cloud.create_image(server, "lying")
            self.assert_failed(server, image, request_id, "qcow2")
        self.assert_unharmed(server, "shut off")
        self.cloud.delete_server(server)

    def test_no_space(self):
        """the snapshot folder's file system is too small: fault, nothing left, guest untouched"""
        folder = f"{LAB}/nova/small"
        os.makedirs(folder, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=16m,mode=711", "tmpfs", folder)
        try:
            xml = domain_xml(self.server)
            write_pattern(self.server, "0x44", "400M", "32M")
            with Agent({"libvirt": {"snapshots_directory": f"{folder}/snapshots"}}):
                image, request_id = self.cloud.create_image(self.server, "no-space")
                self.assert_failed(self.server, image, request_id, "not enough space")
            self.assertEqual(os.listdir(f"{folder}/snapshots"), [])
            self.assertEqual(domain_xml(self.server), xml)
        finally:
            run("umount", folder)
        self.assert_unharmed(self.server)

    @tap.any_method
    def test_required_quiesce_without_agent(self):
        """os_require_quiesce without a guest agent: refused before the guest is touched"""
        self.cloud.glance("PATCH", f"/v2/images/{self.base}", json=[
            {"op": "add", "path": "/os_require_quiesce", "value": "yes"}],
            headers={"Content-Type": "application/openstack-images-v2.1-json-patch"})
        try:
            server = self.cloud.create_server("it-require", self.base)
        finally:
            self.cloud.glance("PATCH", f"/v2/images/{self.base}", json=[
                {"op": "remove", "path": "/os_require_quiesce"}],
                headers={"Content-Type": "application/openstack-images-v2.1-json-patch"})
        with Agent():
            image, request_id = self.cloud.create_image(server, "require")
            self.assert_failed(server, image, request_id, "QEMU guest agent is not enabled")
        self.assert_unharmed(server)
        self.cloud.delete_server(server)

    def test_guest_powered_off(self):
        """guest killed under a held upload: the image is whole, the domain still defined"""
        server = self.cloud.create_server("it-killed", self.base)
        proxy = self.proxy(hold_after=8 << 20)
        with Agent({"glance": {"api_servers": proxy.url}}):
            image, request_id = self.cloud.create_image(server, "killed")
            self.assertTrue(proxy.held.wait(60))
            virsh("destroy", server)
            proxy.release()
            self.cloud.wait_image(image)
            self.assertEqual(self.cloud.wait_event(server, request_id)["result"], "Success")
        assert_same_content(image, "qcow2", server)
        self.assert_unharmed(server, "shut off")
        self.cloud.delete_server(server)


class BadConfiguration(unittest.TestCase):
    def check_config(self, text):
        path = f"{LAB}/run/it-bad.conf"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        try:
            return subprocess.run([Agent().argv[0], "--config-file", path, "--check-config"],
                                  capture_output=True, text=True, timeout=30, check=False)
        finally:
            os.unlink(path)

    @tap.any_method
    def test_errors_name_file_and_line(self):
        """bad values and unknown keys are named with file and line"""
        for text, words in [
                ("[DEFAULT]\nmax_concurrent_snapshots = -1\n", ["it-bad.conf:2", "max_concurrent"]),
                ("[snapshot_agent]\n\nattatch = shared\n", ["it-bad.conf:3", "attatch"]),
                ("[libvirt]\nsnapshot_image_format = qcow\n", ["it-bad.conf:2", "qcow"]),
                ("no section\n", ["it-bad.conf:1"])]:
            done = self.check_config(text)
            self.assertEqual(done.returncode, 1, (text, done))
            for word in words:
                self.assertIn(word, done.stderr)


if __name__ == "__main__":
    tap.main()
