// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/weight_store_service.h"

#include <string>
#include <utility>
#include <vector>

#include "common/rpc/address.h"
#include "common/rpc/handler.h"

namespace attnrl::learner {
namespace {

// How often a watcher looks whether its caller is still there.
constexpr absl::Duration kWatchPoll = absl::Milliseconds(500);

void ToProto(const Version& version, v1::Version* proto) {
  proto->set_number(version.number);
  proto->set_digest(version.digest);
}

absl::Status CallerLeft() { return absl::CancelledError("the caller left"); }

absl::Status SendAnnouncements(VersionStore& versions, const grpc::ServerContext& context,
                               grpc::ServerWriter<v1::VersionAnnouncement>& writer) {
  auto [fresh, seen] = versions.Snapshot();
  while (true) {
    for (const Version& version : fresh) {
      v1::VersionAnnouncement announcement;
      ToProto(version, announcement.mutable_version());
      if (!writer.Write(announcement)) return CallerLeft();
    }
    fresh = versions.AnnouncedAfter(seen, kWatchPoll);
    seen += fresh.size();
    if (context.IsCancelled()) return CallerLeft();
    if (versions.closed()) return absl::UnavailableError("the learner is shutting down");
  }
}

}  // namespace

WeightStoreService::WeightStoreService(VersionStore& versions)
    : versions_(versions), sender_(versions) {}

std::string WeightStoreService::SourceFor(const grpc::ServerContext& context,
                                          const v1::FetchVersionRequest& request) {
  const Version version = {request.version().number(), request.version().digest()};
  // What isn't there is for the sender to say.
  if (request.serves_at() == 0 || versions_.DigestOf(version.number) != version.digest) return "";
  const std::string address = rpc::AtPeer(context.peer(), request.serves_at());
  if (address.empty()) return "";
  return fan_out_.SourceFor(version, address, {request.failed().begin(), request.failed().end()});
}

grpc::Status WeightStoreService::Watch(grpc::ServerContext* context,
                                       const v1::WatchVersionsRequest*,
                                       grpc::ServerWriter<v1::VersionAnnouncement>* writer) {
  return rpc::HandleStream(context, "WeightStore/Watch",
                           [&] { return SendAnnouncements(versions_, *context, *writer); });
}

grpc::Status WeightStoreService::Fetch(grpc::ServerContext* context,
                                       const v1::FetchVersionRequest* request,
                                       grpc::ServerWriter<v1::VersionPiece>* writer) {
  return rpc::HandleStream(context, "WeightStore/Fetch", [&]() -> absl::Status {
    const std::string source = SourceFor(*context, *request);
    if (source.empty()) return sender_.Send(*request, *writer);
    v1::VersionPiece piece;
    piece.mutable_elsewhere()->set_address(source);
    return writer->Write(piece) ? absl::OkStatus() : CallerLeft();
  });
}

}  // namespace attnrl::learner
