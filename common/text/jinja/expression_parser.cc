// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/expression_parser.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::text::jinja {
namespace {

using Kind = Expression::Kind;
using Node = std::unique_ptr<Expression>;

class ExpressionReader {
 public:
  explicit ExpressionReader(TokenReader& tokens) : tokens_(tokens) {}

  absl::StatusOr<Node> Conditional() {
    // The one rule that all nesting passes through.
    if (++depth_ > kMaxDepth) {
      return tokens_.ErrorAt(
          tokens_.Peek().line,
          absl::StrCat("more than ", kMaxDepth, " expressions within each other"), "fewer");
    }
    ATTNRL_ASSIGN_OR_RETURN(Node value, Or());
    while (tokens_.SkipName("if")) {
      Node node = Make(Kind::kConditional);
      ATTNRL_ASSIGN_OR_RETURN(Node condition, Or());
      Node otherwise;
      if (tokens_.SkipName("else")) {
        ATTNRL_ASSIGN_OR_RETURN(otherwise, Conditional());
      }
      node->parts.push_back(std::move(condition));
      node->parts.push_back(std::move(value));
      node->parts.push_back(std::move(otherwise));
      value = std::move(node);
    }
    --depth_;
    return value;
  }

  absl::StatusOr<Node> Or() {
    ATTNRL_ASSIGN_OR_RETURN(Node left, And());
    while (tokens_.SkipName("or")) {
      ATTNRL_ASSIGN_OR_RETURN(Node right, And());
      left = Binary("or", std::move(left), std::move(right));
    }
    return left;
  }

 private:
  Node Make(Kind kind) const {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->line = tokens_.Peek().line;
    return node;
  }
  Node Binary(std::string text, Node left, Node right) const {
    Node node = Make(Kind::kBinary);
    node->line = left->line;
    node->text = std::move(text);
    node->parts.push_back(std::move(left));
    node->parts.push_back(std::move(right));
    return node;
  }
  // The symbol that is next if it is one of these; empty otherwise.
  std::string SkipOneOf(std::initializer_list<const char*> symbols) {
    for (const char* symbol : symbols) {
      if (tokens_.SkipSymbol(symbol)) return symbol;
    }
    return "";
  }

  absl::StatusOr<Node> And() {
    ATTNRL_ASSIGN_OR_RETURN(Node left, Not());
    while (tokens_.SkipName("and")) {
      ATTNRL_ASSIGN_OR_RETURN(Node right, Not());
      left = Binary("and", std::move(left), std::move(right));
    }
    return left;
  }

  absl::StatusOr<Node> Not() {
    if (!tokens_.SeesName("not")) return Comparison();
    if (++depth_ > kMaxDepth) return tokens_.Unexpected("a shorter row of \"not\"");
    Node node = Make(Kind::kNot);
    tokens_.Next();
    ATTNRL_ASSIGN_OR_RETURN(Node operand, Not());
    node->parts.push_back(std::move(operand));
    --depth_;
    return node;
  }

  // The comparison that is next; empty where there is none.
  std::string SkipComparison() {
    if (tokens_.SkipName("in")) return "in";
    if (tokens_.SeesName("not") && tokens_.Peek(1).kind == TokenKind::kName &&
        tokens_.Peek(1).text == "in") {
      tokens_.Next();
      tokens_.Next();
      return "not in";
    }
    return SkipOneOf({"==", "!=", "<=", ">=", "<", ">"});
  }

  absl::StatusOr<Node> Comparison() {
    ATTNRL_ASSIGN_OR_RETURN(Node left, Sum());
    std::string comparison = SkipComparison();
    if (comparison.empty()) return left;
    ATTNRL_ASSIGN_OR_RETURN(Node right, Sum());
    left = Binary(std::move(comparison), std::move(left), std::move(right));
    comparison = SkipComparison();
    if (!comparison.empty()) {
      return tokens_.ErrorAt(left->line, "a chain of comparisons", "\"and\" between two of them");
    }
    return left;
  }

  absl::StatusOr<Node> Sum() {
    ATTNRL_ASSIGN_OR_RETURN(Node left, Concatenation());
    for (;;) {
      std::string symbol = SkipOneOf({"+", "-"});
      if (symbol.empty()) return left;
      ATTNRL_ASSIGN_OR_RETURN(Node right, Concatenation());
      left = Binary(std::move(symbol), std::move(left), std::move(right));
    }
  }

  absl::StatusOr<Node> Concatenation() {
    ATTNRL_ASSIGN_OR_RETURN(Node left, Product());
    while (tokens_.SkipSymbol("~")) {
      ATTNRL_ASSIGN_OR_RETURN(Node right, Product());
      left = Binary("~", std::move(left), std::move(right));
    }
    return left;
  }

  absl::StatusOr<Node> Product() {
    ATTNRL_ASSIGN_OR_RETURN(Node left, Signed(true));
    for (;;) {
      if (tokens_.SeesSymbol("/") || tokens_.SeesSymbol("**")) {
        return tokens_.ErrorAt(tokens_.Peek().line,
                               absl::StrCat("the operator ", tokens_.Peek().text),
                               "+, -, ~, *, // and % are supported");
      }
      std::string symbol = SkipOneOf({"*", "//", "%"});
      if (symbol.empty()) return left;
      ATTNRL_ASSIGN_OR_RETURN(Node right, Signed(true));
      left = Binary(std::move(symbol), std::move(left), std::move(right));
    }
  }

  absl::StatusOr<Node> Signed(bool with_filters) {
    Node value;
    if (tokens_.SeesSymbol("-") || tokens_.SeesSymbol("+")) {
      if (++depth_ > kMaxDepth) return tokens_.Unexpected("a shorter row of signs");
      const bool minus = tokens_.Next().text == "-";
      ATTNRL_ASSIGN_OR_RETURN(value, Signed(false));
      if (minus) {
        Node node = Make(Kind::kMinus);
        node->parts.push_back(std::move(value));
        value = std::move(node);
      }
      --depth_;
    } else {
      ATTNRL_ASSIGN_OR_RETURN(value, Primary());
    }
    ATTNRL_ASSIGN_OR_RETURN(value, Postfix(std::move(value)));
    return with_filters ? FiltersAndTests(std::move(value)) : std::move(value);
  }

  absl::StatusOr<Node> Primary() {
    Node node = Make(Kind::kLiteral);
    const Token token = tokens_.Peek();
    if (token.kind == TokenKind::kString) {
      std::string text;
      while (tokens_.Peek().kind == TokenKind::kString) text += tokens_.Next().text;
      node->value = Value(std::move(text));
      return node;
    }
    if (token.kind == TokenKind::kInteger) {
      int64_t number = 0;
      if (!absl::SimpleAtoi(token.text, &number)) {
        return tokens_.Unexpected("a number below 2^63");
      }
      tokens_.Next();
      node->value = Value(number);
      return node;
    }
    if (token.kind == TokenKind::kName) {
      tokens_.Next();
      return Name(token.text, std::move(node));
    }
    if (tokens_.SkipSymbol("(")) return InParentheses();
    if (tokens_.SkipSymbol("[")) {
      node->kind = Kind::kList;
      ATTNRL_RETURN_IF_ERROR(Elements("]", node.get()));
      return node;
    }
    if (tokens_.SkipSymbol("{")) return MapLiteral(std::move(node));
    return tokens_.Unexpected("a value");
  }

  static absl::StatusOr<Node> Name(const std::string& name, Node node) {
    if (name == "true" || name == "True") {
      node->value = Value(true);
    } else if (name == "false" || name == "False") {
      node->value = Value(false);
    } else if (name == "none" || name == "None") {
      node->value = Value(None());
    } else {
      node->kind = Kind::kName;
      node->text = name;
    }
    return node;
  }

  // A value in parentheses, or a tuple, which is as good as a list here.
  absl::StatusOr<Node> InParentheses() {
    Node list = Make(Kind::kList);
    if (tokens_.SkipSymbol(")")) return list;
    ATTNRL_ASSIGN_OR_RETURN(Node first, Conditional());
    if (tokens_.SkipSymbol(")")) return first;
    list->parts.push_back(std::move(first));
    ATTNRL_RETURN_IF_ERROR(tokens_.ExpectSymbol(","));
    ATTNRL_RETURN_IF_ERROR(Elements(")", list.get()));
    return list;
  }

  // Expressions up to `close`, a comma between two; a comma may also stand after the last.
  absl::Status Elements(std::string_view close, Expression* list) {
    while (!tokens_.SkipSymbol(close)) {
      ATTNRL_ASSIGN_OR_RETURN(Node element, Conditional());
      list->parts.push_back(std::move(element));
      if (tokens_.SkipSymbol(close)) break;
      ATTNRL_RETURN_IF_ERROR(tokens_.ExpectSymbol(","));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Node> MapLiteral(Node node) {
    node->kind = Kind::kMap;
    while (!tokens_.SkipSymbol("}")) {
      ATTNRL_ASSIGN_OR_RETURN(Node key, Conditional());
      ATTNRL_RETURN_IF_ERROR(tokens_.ExpectSymbol(":"));
      ATTNRL_ASSIGN_OR_RETURN(Node value, Conditional());
      node->parts.push_back(std::move(key));
      node->parts.push_back(std::move(value));
      if (tokens_.SkipSymbol("}")) break;
      ATTNRL_RETURN_IF_ERROR(tokens_.ExpectSymbol(","));
    }
    return node;
  }

  absl::StatusOr<Node> Postfix(Node value) {
    for (;;) {
      if (tokens_.SkipSymbol(".")) {
        Node node = Make(Kind::kAttribute);
        node->text = tokens_.Peek().text;
        ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of an attribute"));
        node->parts.push_back(std::move(value));
        value = std::move(node);
      } else if (tokens_.SkipSymbol("[")) {
        ATTNRL_ASSIGN_OR_RETURN(value, Subscript(std::move(value)));
      } else if (tokens_.SkipSymbol("(")) {
        Node node = Make(Kind::kCall);
        node->parts.push_back(std::move(value));
        ATTNRL_RETURN_IF_ERROR(Arguments(node.get()));
        value = std::move(node);
      } else {
        return value;
      }
    }
  }

  absl::StatusOr<Node> Subscript(Node value) {
    Node node = Make(Kind::kItem);
    node->parts.push_back(std::move(value));
    // begin:end:step, each of which may be missing; without a colon, it is a key.
    for (;;) {
      Node part;
      if (!tokens_.SeesSymbol(":") && !tokens_.SeesSymbol("]")) {
        ATTNRL_ASSIGN_OR_RETURN(part, Conditional());
      }
      node->parts.push_back(std::move(part));
      if (tokens_.SkipSymbol("]")) break;
      ATTNRL_RETURN_IF_ERROR(tokens_.ExpectSymbol(":"));
      node->kind = Kind::kSlice;
      if (node->parts.size() > 3) return tokens_.Unexpected("\"]\"");
    }
    if (node->kind == Kind::kItem && node->parts[1] == nullptr) {
      return tokens_.ErrorAt(node->line, "empty brackets", "a key is needed");
    }
    if (node->kind == Kind::kSlice) node->parts.resize(4);
    return node;
  }

  absl::Status Arguments(Expression* call) {
    while (!tokens_.SkipSymbol(")")) {
      std::string keyword;
      const Token& after = tokens_.Peek(1);
      if (tokens_.Peek().kind == TokenKind::kName && after.kind == TokenKind::kSymbol &&
          after.text == "=") {
        keyword = tokens_.Next().text;
        tokens_.Next();
      }
      ATTNRL_ASSIGN_OR_RETURN(Node argument, Conditional());
      call->parts.push_back(std::move(argument));
      call->arguments.push_back(std::move(keyword));
      if (tokens_.SkipSymbol(")")) break;
      ATTNRL_RETURN_IF_ERROR(tokens_.ExpectSymbol(","));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Node> FiltersAndTests(Node value) {
    for (;;) {
      if (tokens_.SkipSymbol("|")) {
        Node node = Make(Kind::kFilter);
        node->text = tokens_.Peek().text;
        ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of a filter"));
        node->parts.push_back(std::move(value));
        if (tokens_.SkipSymbol("(")) ATTNRL_RETURN_IF_ERROR(Arguments(node.get()));
        value = std::move(node);
      } else if (tokens_.SkipName("is")) {
        ATTNRL_ASSIGN_OR_RETURN(value, Test(std::move(value)));
      } else {
        return value;
      }
    }
  }

  absl::StatusOr<Node> Test(Node value) {
    const bool negated = tokens_.SkipName("not");
    Node node = Make(Kind::kTest);
    node->text = tokens_.Peek().text;
    ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of a test"));
    node->parts.push_back(std::move(value));
    if (tokens_.SkipSymbol("(")) {
      ATTNRL_RETURN_IF_ERROR(Arguments(node.get()));
    } else if (BeginsArgument()) {
      ATTNRL_ASSIGN_OR_RETURN(Node argument, Primary());
      ATTNRL_ASSIGN_OR_RETURN(argument, Postfix(std::move(argument)));
      node->parts.push_back(std::move(argument));
      node->arguments.emplace_back();
    }
    if (!negated) return node;
    Node inverted = Make(Kind::kNot);
    inverted->parts.push_back(std::move(node));
    return inverted;
  }

  // `is divisibleby 3` has an argument without parentheses.
  bool BeginsArgument() const {
    const Token& token = tokens_.Peek();
    if (token.kind == TokenKind::kString || token.kind == TokenKind::kInteger) return true;
    if (token.kind == TokenKind::kSymbol) return token.text == "[" || token.text == "{";
    if (token.kind != TokenKind::kName) return false;
    for (const char* word : {"and", "or", "else", "if", "is", "in", "not"}) {
      if (token.text == word) return false;
    }
    return true;
  }

  TokenReader& tokens_;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Expression>> ParseExpression(TokenReader& tokens,
                                                            bool with_conditional) {
  ExpressionReader parser(tokens);
  return with_conditional ? parser.Conditional() : parser.Or();
}

}  // namespace attnrl::text::jinja
