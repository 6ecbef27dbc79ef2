// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace attnrl::kernels {

// Asks the system to put this memory into large pages as it fills, where it is large enough: what
// is read from end to end would need an address translation for every 4 KiB otherwise. Advice
// alone: without it everything works the same. Any thread.
void AskForLargePages(void* start, size_t bytes);

}  // namespace attnrl::kernels
