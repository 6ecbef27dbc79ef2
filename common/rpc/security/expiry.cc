// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/expiry.h"

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/observe/metrics.h"
#include "common/rpc/security/certificate.h"

namespace attnrl::rpc {
namespace {

class Exported {
 public:
  static Exported& Get() {
    static auto* exported = new Exported;
    return *exported;
  }

  void Set(const std::string& file) {
    absl::MutexLock lock(&mutex_);
    file_ = file;
  }

 private:
  Exported() {
    observe::BeforeReading([this] { Update(); });
  }
  void Update() const {
    absl::MutexLock lock(&mutex_);
    const auto expiry = ReadExpiry(file_);
    if (expiry.ok()) {
      observe::Set(observe::kRpcCertificateExpiry, {},
                   static_cast<double>(absl::ToUnixSeconds(*expiry)));
    }
  }

  mutable absl::Mutex mutex_;
  std::string file_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void ExportExpiry(const std::string& certificate) { Exported::Get().Set(certificate); }

}  // namespace attnrl::rpc
