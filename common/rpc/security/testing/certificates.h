// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/rpc/security/security.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::rpc {

// What a certificate of a test says; by default one of the run "r" that peers on this machine take.
struct CertificateText {
  std::vector<std::string> uris = {};
  std::vector<std::string> dns_names = {"localhost"};
  absl::Duration valid_for = absl::Hours(1);  // from a day ago; negative: it has expired
};

// Tests only: a certificate authority of its own, with a folder for what it signs. P-256 keys.
class CertificateAuthority {
 public:
  CertificateAuthority();
  ~CertificateAuthority();

  // Signs a new certificate and writes NAME.crt, NAME.key and ca.crt; those of an earlier one of
  // this name are replaced. The security of a process that has it, looking for changes each second.
  Security Issue(const std::string& name, const CertificateText& text) const;
  // The same for a role of the run "r".
  Security Issue(const std::string& role) const;

  const std::string& folder() const { return folder_.path(); }

 private:
  struct Parts;
  const TemporaryFolder folder_;
  const std::unique_ptr<Parts> parts_;
};

}  // namespace attnrl::rpc
