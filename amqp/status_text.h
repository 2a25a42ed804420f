/* SPDX-License-Identifier: Apache-2.0 */
/* What a status of librabbitmq means, in words for an operator. */
#pragma once

#define STATUS_TEXT_SIZE 256

/*
 * Fills and returns `text`. Right behind the call that failed: "a socket error occurred" comes with
 * what errno says.
 */
const char *status_text(int status, char text[static STATUS_TEXT_SIZE]);

/* The same of a socket whose errno is known from elsewhere; 0 = it is not. */
const char *status_text_errno(int status, int errnum, char text[static STATUS_TEXT_SIZE]);
