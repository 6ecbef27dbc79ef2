// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/deciding/kinks.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

namespace attnrl::verifier {
namespace {

// One with all variables positive, one with all negative, and two with mixed signs.
constexpr int kDirections[] = {0, 1, 3, 5};
constexpr int64_t kPrecision = 128;
constexpr size_t kMostKinks = 24;
// Scales from 2^-6 to 2^16, with eight steps to each doubling.
constexpr int kFirstStep = -48;
constexpr int kLastStep = 128;
constexpr double kStepsPerDoubling = 8;
constexpr int kHalvings = 60;
// Of the work that is left.
constexpr int64_t kShare = 4;

struct Kinks {
  std::vector<const Expression*> absolute;  // u of |u|
  std::vector<const Expression*> roots;     // u of an even root of u
  // Inverses of functions that repeat, as \arcsin(\sin u), whose pieces have no zeros to look for.
  bool folds = false;
};

// What may bend where nothing else shows it.
void FindKinks(const Expression& node, Kinks& kinks) {
  static constexpr std::string_view kInverses[] = {"\\arcsin", "\\arccos", "\\arctan"};
  if (node.kind == Kind::kFunction && !node.arguments.empty() && !IsConstant(node)) {
    kinks.folds |=
        std::find(std::begin(kInverses), std::end(kInverses), node.name) != std::end(kInverses);
    if (node.name == "\\abs") kinks.absolute.push_back(&node.arguments[0]);
  }
  if (node.kind == Kind::kPower && node.arguments[1].kind == Kind::kNumber &&
      fmpz_is_even(fmpq_denref(node.arguments[1].number.get())) && !IsConstant(node)) {
    kinks.roots.push_back(&node.arguments[0]);
  }
  for (const Expression& argument : node.arguments) FindKinks(argument, kinks);
}

// A function of the scale along one direction.
class Ray {
 public:
  Ray(const Expression& node, int point, const Variables& variables, Work& work)
      : node_(node), point_(point), variables_(variables), work_(work) {}

  // NaN where it has no real value.
  double At(double scale) const {
    Ball value;
    BallEvaluator evaluator({point_, scale}, kPrecision, variables_, work_);
    if (!evaluator.Evaluate(node_, value) || !IsReal(value)) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    return arf_get_d(arb_midref(acb_realref(value.get())), ARF_RND_NEAR);
  }

  // Where its sign changes between two scales at which it has different ones.
  double Zero(double low, double high) const {
    const bool rises = At(low) < 0;
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = (low + high) / 2;
      ((At(middle) < 0) == rises ? low : high) = middle;
    }
    return (low + high) / 2;
  }

  // Where its magnitude is smallest between two scales, with one smaller than both between them.
  double Smallest(double low, double high) const {
    for (int i = 0; i < kHalvings; ++i) {
      const double third = (high - low) / 3;
      const bool left = std::abs(At(low + third)) < std::abs(At(high - third));
      (left ? high : low) = left ? high - third : low + third;
    }
    return (low + high) / 2;
  }

  bool exhausted() const { return work_.exhausted(); }

 private:
  const Expression& node_;
  const int point_;
  const Variables& variables_;
  Work& work_;
};

// The zeros of a straight line wherever they are; else those between the scales that are tried, and
// places where it comes near to zero: it may touch it, or cross it twice.
void AddZeros(const Ray& ray, std::vector<double>& zeros) {
  const double one = ray.At(1);
  const double slope = ray.At(2) - one;
  const double zero = 1 - one / slope;
  constexpr double kSmall = 1e-9;
  if (std::isfinite(zero) && std::abs(ray.At(3) - one - 2 * slope) < kSmall * std::abs(slope)) {
    zeros.push_back(zero);
    return;
  }
  double scales[3] = {};
  double values[3] = {};
  int known = 0;
  for (int step = kFirstStep; step <= kLastStep && zeros.size() < kMostKinks; ++step) {
    std::copy(scales + 1, scales + 3, scales);
    std::copy(values + 1, values + 3, values);
    scales[2] = std::exp2(step / kStepsPerDoubling);
    values[2] = ray.At(scales[2]);
    known = std::isfinite(values[2]) ? known + 1 : 0;
    if (ray.exhausted()) return;
    if (known < 2) continue;
    if ((values[1] < 0) != (values[2] < 0)) {
      zeros.push_back(ray.Zero(scales[1], scales[2]));
    } else if (known > 2 && (values[0] < 0) == (values[1] < 0) &&
               std::abs(values[1]) <= std::abs(values[0]) &&
               std::abs(values[1]) <= std::abs(values[2])) {
      const double nearest = ray.Smallest(scales[0], scales[2]);
      zeros.push_back(nearest);
      if ((ray.At(nearest) < 0) != (values[1] < 0)) {
        zeros.push_back(ray.Zero(scales[0], nearest));
        zeros.push_back(ray.Zero(nearest, scales[2]));
      }
    }
  }
}

// Beyond the points on both sides of everything, and between each two zeros.
void AddPlaces(int point, std::vector<double> zeros, std::vector<Place>& places) {
  constexpr double kBeyond[] = {-1000, -30, 30, 1000};
  for (const double scale : kBeyond) places.push_back({point, scale});
  if (zeros.empty()) return;
  zeros.push_back(0);
  std::sort(zeros.begin(), zeros.end());
  if (zeros.front() < 0) places.push_back({point, 2 * zeros.front()});
  if (zeros.back() > 0) places.push_back({point, 2 * zeros.back()});
  for (size_t i = 1; i < zeros.size(); ++i) {
    const double middle = (zeros[i - 1] + zeros[i]) / 2;
    if (middle != zeros[i - 1] && middle != zeros[i]) places.push_back({point, middle});
  }
}

}  // namespace

std::vector<Place> PlacesBetweenKinks(const Expression& a, const Expression& b,
                                      const Variables& variables, Work& work) {
  Kinks kinks;
  FindKinks(a, kinks);
  FindKinks(b, kinks);
  std::vector<Place> places;
  const bool none = kinks.absolute.empty() && kinks.roots.empty() && !kinks.folds;
  if (none || variables.empty()) return places;
  const int64_t share = work.left() / kShare;
  Work some(share);
  for (const int point : kDirections) {
    // Those of one variable lie on one line, whatever its direction.
    if (variables.size() == 1 && point > 1) break;
    std::vector<double> zeros;
    for (const auto* each : {&kinks.absolute, &kinks.roots}) {
      for (size_t i = 0; i < each->size() && i < kMostKinks && !some.exhausted(); ++i) {
        AddZeros(Ray(*(*each)[i], point, variables, some), zeros);
      }
    }
    AddPlaces(point, std::move(zeros), places);
  }
  // Even roots of negative numbers have conventions of their own.
  std::erase_if(places, [&](const Place& place) {
    return std::any_of(kinks.roots.begin(), kinks.roots.end(), [&](const Expression* root) {
      return !(Ray(*root, place.point, variables, some).At(place.scale) >= 0);
    });
  });
  work.Spend(some.exhausted() ? share : share - some.left());
  return places;
}

}  // namespace attnrl::verifier
