# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Everything the entry points share.

LAB_LIB=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/lab/lib/common.sh
. "$LAB_LIB/common.sh"
# shellcheck source=tests/lab/lib/parts.sh
. "$LAB_LIB/parts.sh"
# shellcheck source=tests/lab/lib/settings.sh
. "$LAB_LIB/settings.sh"
# shellcheck source=tests/lab/lib/config.sh
. "$LAB_LIB/config.sh"
# shellcheck source=tests/lab/lib/process.sh
. "$LAB_LIB/process.sh"
# shellcheck source=tests/lab/lib/infrastructure.sh
. "$LAB_LIB/infrastructure.sh"
# shellcheck source=tests/lab/lib/ceph.sh
. "$LAB_LIB/ceph.sh"
# shellcheck source=tests/lab/lib/nfs.sh
. "$LAB_LIB/nfs.sh"
# shellcheck source=tests/lab/lib/openstack.sh
. "$LAB_LIB/openstack.sh"
# shellcheck source=tests/lab/lib/services.sh
. "$LAB_LIB/services.sh"
# shellcheck source=tests/lab/lib/bootstrap.sh
. "$LAB_LIB/bootstrap.sh"
