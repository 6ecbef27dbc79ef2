// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/attnrl/v1/verifier.grpc.pb.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// The gRPC face of a GraderPool (proto/attnrl/v1/verifier.proto is the manual): checks the request
// and its limits, converts, grades, counts. Any number of threads.
class VerifierService final : public v1::Verifier::Service {
 public:
  // Grades a batch, unless the caller has left meanwhile; GraderPool::Grade, or a fake.
  using Abandoned = std::function<bool()>;
  using Grade = std::function<absl::StatusOr<std::vector<GradeResult>>(
      const std::vector<GradeRequest>&, const Abandoned&)>;

  explicit VerifierService(Grade grade) : grade_(std::move(grade)) {}

  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest* request,
                      v1::VerifyReply* reply) override;

 private:
  absl::Status VerifyBatch(const v1::VerifyRequest& request, v1::VerifyReply& reply,
                           const Abandoned& abandoned) const;

  const Grade grade_;
};

}  // namespace attnrl::verifier
