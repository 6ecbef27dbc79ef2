// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace attnrl::rpc {

// From now on /metrics says when the certificate in this PEM file expires, as the file stands
// whenever it is read: one that is renewed in time shows. Where it can't be read the last value
// stays. A process has one certificate; of several the last one counts. Any thread.
void ExportExpiry(const std::string& certificate);

}  // namespace attnrl::rpc
