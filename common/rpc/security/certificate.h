// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/security/roles.h"
#include "common/rpc/security/security.h"

namespace attnrl::rpc {

// A process's own certificate.
struct Certificate {
  Identity identity = {};
  absl::Time not_after = {};
};

// Reads the three files as a peer will, so that what is wrong with them is said here and not by the
// handshakes that fail: readable PEM, a key that belongs to the certificate, one that is of this
// run and has not expired, a CA. InputError naming the key of the configuration and the file.
absl::StatusOr<Certificate> ReadCertificate(const Security& security);

// When the certificate in this PEM file expires.
absl::StatusOr<absl::Time> ReadExpiry(const std::string& file);

// The file of the certificates to trust; "system" is where the operating system keeps them.
// InputError where there is none.
absl::StatusOr<std::string> CaFile(const std::string& ca);

}  // namespace attnrl::rpc
