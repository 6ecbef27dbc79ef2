// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

namespace prometheus {
class Registry;
}

namespace attnrl::observe {

// The process's registry, for the server of this folder only. Never destroyed; thread-safe.
std::shared_ptr<prometheus::Registry> Registry();

}  // namespace attnrl::observe
