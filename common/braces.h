/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * BRACES(...): {...}, for a macro whose body is an initializer. Releases of clang-format do not
 * agree on how braces are laid out there.
 */
// clang-format off
#define BRACES(...) {__VA_ARGS__}
// clang-format on
