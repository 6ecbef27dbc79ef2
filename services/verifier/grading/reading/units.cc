// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/units.h"

#include <algorithm>
#include <cstdint>
#include <map>

namespace attnrl::verifier {
namespace {

struct Entry {
  const char* words;  // separated by spaces
  const char* dimension;
  int64_t numerator = 1;
  uint64_t denominator = 1;
};

// Units that take SI prefixes; the words before "|" are symbols, those behind it are written out.
constexpr Entry kPrefixed[] = {
    {"m|meter metre", "m"}, {"g|gram gramme", "g"},   {"s|second", "s"},
    {"A|ampere amp", "A"},  {"K|kelvin", "K"},        {"mol|mole", "mol"},
    {"cd|candela", "cd"},   {"L l|liter litre", "L"}, {"N|newton", "N"},
    {"J|joule", "J"},       {"W|watt", "W"},          {"Pa|pascal", "Pa"},
    {"Hz|hertz", "Hz"},     {"V|volt", "V"},          {"C|coulomb", "C"},
    {"F|farad", "F"},       {"T|tesla", "T"},         {"Wb|weber", "Wb"},
    {"H|henry", "H"},       {"\\Omega|ohm", "ohm"},   {"eV|electronvolt", "eV"},
    {"cal|calorie", "cal"}, {"pc|parsec", "pc"},      {"bit|bit", "bit"},
    {"B|byte", "byte"},     {"|watthour", "Wh"},
};

struct Prefix {
  const char* symbol;
  const char* word;
  int64_t numerator;
  uint64_t denominator;
};
constexpr Prefix kPrefixes[] = {
    {"", "", 1, 1},
    {"T", "tera", 1'000'000'000'000, 1},
    {"G", "giga", 1'000'000'000, 1},
    {"M", "mega", 1'000'000, 1},
    {"k", "kilo", 1000, 1},
    {"h", "hecto", 100, 1},
    {"d", "deci", 1, 10},
    {"c", "centi", 1, 100},
    {"m", "milli", 1, 1000},
    {"\\mu", "micro", 1, 1'000'000},
    {"\u00b5", "micro", 1, 1'000'000},
    {"\u03bc", "micro", 1, 1'000'000},
    {"n", "nano", 1, 1'000'000'000},
    {"p", "pico", 1, 1'000'000'000'000},
};

constexpr Entry kUnits[] = {
    {"% percent pct", "%"},
    {"percentage percentages", "percentage"},
    {"deg degree degrees", "deg"},
    {"rad radian radians", "rad"},
    {"sec secs", "s"},
    {"min mins minute minutes", "s", 60},
    {"h hr hrs hour hours", "s", 3600},
    {"day days", "s", 86400},
    {"week weeks wk wks", "s", 604800},
    {"month months", "month"},
    {"yr yrs year years", "year"},
    {"inch inches in", "m", 254, 10000},
    {"ft foot feet", "m", 3048, 10000},
    {"yd yds yard yards", "m", 9144, 10000},
    {"mi mile miles", "m", 1609344, 1000},
    {"mph", "m/s", 44704, 100000},
    {"kph kmh", "m/s", 10, 36},
    {"ly lightyear lightyears", "lightyear"},
    {"AU", "AU"},
    {"acre acres", "acre"},
    {"hectare hectares ha", "m^2", 10000},
    {"gal gallon gallons", "gallon"},
    {"quart quarts", "gallon", 1, 4},
    {"pint pints", "gallon", 1, 8},
    {"cup cups", "gallon", 1, 16},
    {"lb lbs pound pounds", "pound"},
    {"oz ounce ounces", "pound", 1, 16},
    {"ton tons", "ton"},
    {"tonne tonnes", "g", 1'000'000},
    {"cc", "L", 1, 1000},
    {"atm", "atm"},
    {"bar bars", "Pa", 100'000},
    {"\\$ USD dollar dollars buck bucks", "$"},
    {"cent cents", "$", 1, 100},
    {"dime dimes", "$", 1, 10},
    {"nickel nickels", "$", 1, 20},
    {"penny pennies", "$", 1, 100},
    {"EUR euro euros \u20ac", "euro"},
    {"GBP \u00a3", "GBP"},
    {"yuan RMB CNY", "yuan"},
    {"yen JPY", "yen"},
    {"rupee rupees", "rupee"},
    {"unit units", "unit"},
    {"mol/L", "M"},
    {"dB decibel decibels", "dB"},
    {"rpm", "rpm"},
    {"erg ergs", "J", 1, 10'000'000},
    {"dyne dynes", "N", 1, 100'000},
    {"Angstrom Angstroms angstrom angstroms", "m", 1, 10'000'000'000},
    {"solar", "solar"},
};

// Things that data sets count, in the singular; the plural goes by rule. None that multiplies:
// three pairs are six, three quarters less than one.
constexpr const char* kCounted =
    "apple|arrangement|attempt|ball|bag|basket|bead|bean|bear|bike|bird|block|boat|book|"
    "bottle|box|boy|brick|bug|building|bus|cake|candy|car|card|case|cat|chair|chicken|chip|"
    "choice|circle|class|coin|color|combination|computer|cookie|cow|customer|dap|desk|dog|"
    "dot|duck|edge|egg|element|employee|envelope|face|fish|flag|flower|function|game|girl|"
    "glass|goal|goat|group|guest|handshake|hat|hen|horse|house|integer|item|jar|kid|lap|"
    "letter|line|liner|lion|marble|match|member|move|muffin|number|orange|page|paper|park|"
    "part|path|pattern|pen|pencil|permutation|picture|piece|pizza|player|point|pointer|"
    "problem|puppy|question|rabbit|rectangle|region|ring|room|rose|round|row|seat|sequence|"
    "sheep|shirt|side|sister|slice|solution|stamp|step|stick|sticker|stone|student|subset|"
    "table|task|teacher|team|term|ticket|tile|toy|train|tree|triangle|truck|user|value|"
    "vertex|vote|vowel|way|wheel|window|word|worker";

// Only in the plural: "3 square" and "3 zero" might be meant as other numbers.
constexpr const char* kCountedPlural = "cubes|roots|sets|squares|turns|zeros";

constexpr Entry kIrregular[] = {
    {"person people persons", "person"},
    {"child children", "child"},
    {"man men", "man"},
    {"woman women", "woman"},
    {"vertices", "vertex"},
    {"matches", "match"},
    {"boxes", "box"},
    {"buses", "bus"},
    {"classes", "class"},
    {"glasses", "glass"},
    {"puppies", "puppy"},
    {"candies", "candy"},
};

constexpr Entry kScales[] = {
    {"hundred hundreds", "", 100},
    {"thousand thousands", "", 1000},
    {"million millions", "", 1'000'000},
    {"billion billions", "", 1'000'000'000},
    {"trillion trillions", "", 1'000'000'000'000},
    {"dozen dozens", "", 12},
    {"half halves", "", 1, 2},
    {"third thirds", "", 1, 3},
};

using Units = std::map<std::string, Unit, std::less<>>;

template <typename Visit>
void ForEachWord(std::string_view words, char between, Visit visit) {
  while (!words.empty()) {
    const size_t end = std::min(words.find(between), words.size());
    if (end > 0) visit(std::string(words.substr(0, end)));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
}

Units MakeUnits() {
  Units units;
  for (const Entry& entry : kUnits) {
    ForEachWord(entry.words, ' ', [&](std::string word) {
      units[word] = {entry.dimension, Rational(entry.numerator, entry.denominator)};
    });
  }
  ForEachWord(kCounted, '|', [&](std::string word) {
    units.emplace(word + "s", Unit{word});
    units.emplace(word, Unit{word});
  });
  ForEachWord(kCountedPlural, '|', [&](std::string word) {
    units.emplace(word, Unit{word.substr(0, word.size() - 1)});
  });
  for (const Entry& entry : kIrregular) {
    ForEachWord(entry.words, ' ', [&](std::string word) { units[word] = {entry.dimension}; });
  }
  for (const Entry& entry : kPrefixed) {
    const std::string_view words = entry.words;
    const size_t bar = words.find('|');
    for (const Prefix& prefix : kPrefixes) {
      const Unit unit{entry.dimension, Rational(prefix.numerator, prefix.denominator)};
      ForEachWord(words.substr(0, bar), ' ', [&](std::string word) {
        Unit one = unit;
        one.symbol = true;
        units.emplace(prefix.symbol + word, one);
      });
      ForEachWord(words.substr(bar + 1), ' ', [&](std::string word) {
        units.emplace(prefix.word + word, unit);
        units.emplace(prefix.word + word + "s", unit);
      });
    }
  }
  return units;
}

}  // namespace

std::optional<Unit> FindUnit(std::string_view word) {
  static const Units& units = *new Units(MakeUnits());
  const auto found = units.find(word);
  if (found == units.end()) return std::nullopt;
  return found->second;
}

std::optional<Rational> FindScale(std::string_view word) {
  for (const Entry& entry : kScales) {
    bool found = false;
    ForEachWord(entry.words, ' ', [&](const std::string& each) { found |= each == word; });
    if (found) return Rational(entry.numerator, entry.denominator);
  }
  return std::nullopt;
}

}  // namespace attnrl::verifier
