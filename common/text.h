/* SPDX-License-Identifier: Apache-2.0 */
/* Text of others' that is to be shown, logged or sent on. Names begin with text_. */
#pragma once

/*
 * Makes it whole UTF-8 in one line, in its place: what is none becomes '?', a control character
 * blanks (also those of C1, U+0080 to U+009F, which a terminal obeys like ESC), a last character
 * that was cut off goes.
 */
void text_make_whole(char *text);
