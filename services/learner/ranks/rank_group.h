// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace attnrl::learner {

// A rank that is gone or silent; the message names it. The group is of no use afterwards.
class RankError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The processes that train one model together, each with a number, its rank, from 0. All ranks call
// the same functions below in the same order. Everything throws RankError. One thread uses it.
class RankGroup {
 public:
  // Something on its way. Its tensor lives until Wait returns; Wait has the group's deadline.
  class Transfer {
   public:
    virtual ~Transfer() = default;
    virtual void Wait() = 0;
  };

  virtual ~RankGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Start to send or to receive a contiguous tensor. What one rank sends to another arrives in the
  // order in which it was sent, and either side knows its size.
  virtual std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) = 0;
  virtual std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) = 0;

  // What was started so far may begin: what ranks send each other at once has to be started before.
  // Waiting for it says so too.
  virtual void Launch() {}

  // Every rank calls it when it has waited for all that it started: the group ends in order, and
  // nothing is sent any more. One that goes away without it lets go of what is under way.
  virtual void End() {}
};

// Row r of `parts` [ranks, n], contiguous, goes to rank r; what every rank sent to this one comes
// back as [ranks, n], in their order. Begins at once and runs beside what the caller does next.
class Exchange {
 public:
  Exchange(RankGroup& group, at::Tensor parts);
  at::Tensor Wait();

 private:
  at::Tensor parts_;
  at::Tensor received_;
  std::vector<std::unique_ptr<RankGroup::Transfer>> transfers_;
};

// Row r of `rows` [ranks, n], contiguous, comes from rank r; each has filled its own. Begins at
// once and runs beside what the caller does next; the rows are whole after Wait.
class Gather {
 public:
  Gather(RankGroup& group, const at::Tensor& rows);
  void Wait();

 private:
  std::vector<std::unique_ptr<RankGroup::Transfer>> transfers_;
};

// The same, and waits.
void AllGather(RankGroup& group, const at::Tensor& rows);

// `tensor` of rank 0 becomes that of all; contiguous, of one shape and dtype everywhere.
void Broadcast(RankGroup& group, at::Tensor tensor);

// The same for bytes, whose number only rank 0 knows.
std::string BroadcastBytes(RankGroup& group, std::string bytes);

// The first two ranks that give the same name, of at most 127 bytes; the same answer everywhere.
std::optional<std::pair<int, int>> FirstAlike(RankGroup& group, const std::string& name);

// The sum of tensors in an order that depends on their number alone: the halves of a list are added
// up, then the two sums. What powers of two of ranks add up in parts is the same to the bit.
at::Tensor PairwiseSum(const std::vector<at::Tensor>& tensors);

}  // namespace attnrl::learner
