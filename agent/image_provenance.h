/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image's record in Glance tells of how it was made ([snapshot_agent]image_provenance):
 *
 *   snapshot_method    "stream"; "cold, not stream: <why>" where it was not the wanted one
 *   snapshot_quiesced  "yes", "no", "no: <why>", or "asked for" where nobody tells what came of it
 *   snapshot_instant   when the disk was what the image is: "2026-01-31T23:59:59Z"
 *   snapshot_agent     "nova-snapshot-agent <version>"
 *   snapshot_mark      host_key_mark() of the image's id: only this host's agent has made it, and
 * in an image that has inherited it, it is another's
 */
#pragma once

#include "agent/operation.h"

#define IMAGE_PROVENANCE_MARK "snapshot_mark"

/* Keeps what is known now of the operation, for this life and the next. */
void image_provenance_note(struct operation *op);

/*
 * Sets in Glance what was noted; what the image has inherited and nobody knows of this one is
 * emptied. The snapshot does not depend on it: that Glance refuses it is a warning.
 */
void image_provenance_tell(struct operation *op);
