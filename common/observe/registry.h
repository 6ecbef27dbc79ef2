// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

namespace prometheus {
class Collectable;
}

namespace attnrl::observe {

// The process's metrics, for the server of this folder only. Never destroyed; thread-safe.
std::shared_ptr<prometheus::Collectable> Readings();

}  // namespace attnrl::observe
