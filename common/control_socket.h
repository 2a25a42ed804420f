/* SPDX-License-Identifier: Apache-2.0 */
/* Where the daemon listens for its operators and the operators' tool looks, unless told otherwise.
 */
#pragma once

#define CONTROL_SOCKET_PATH "/run/nova-snapshot-agent/control"
