// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/parser.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/jinja/expression_parser.h"
#include "common/text/jinja/token_reader.h"

namespace attnrl::text::jinja {
namespace {

using Kind = Statement::Kind;

class Parser {
 public:
  explicit Parser(TokenReader tokens) : tokens_(std::move(tokens)) {}

  absl::StatusOr<Block> Whole() {
    Block block;
    ATTNRL_RETURN_IF_ERROR(Statements(&block));
    if (tokens_.Peek().kind == TokenKind::kEnd) return block;
    return tokens_.ErrorAt(tokens_.Peek().line,
                           absl::StrCat("{% ", tokens_.Peek(1).text, " %} closes nothing"),
                           "a statement that is open");
  }

 private:
  // Names at which a block ends; none of them begins a statement.
  bool SeesBlockEnd() const {
    if (tokens_.Peek().kind != TokenKind::kOpenBlock) return false;
    const std::string& name = tokens_.Peek(1).text;
    return name == "else" || name == "elif" || name.starts_with("end");
  }

  // Up to a tag that ends the block around, or to the end of the template.
  absl::Status Statements(Block* block) {
    if (++depth_ > kMaxDepth) return tokens_.Unexpected("fewer statements within each other");
    while (tokens_.Peek().kind != TokenKind::kEnd && !SeesBlockEnd()) {
      const Token token = tokens_.Next();
      if (token.kind == TokenKind::kText) {
        block->push_back({.kind = Kind::kText, .line = token.line, .text = token.text});
      } else if (token.kind == TokenKind::kOpenOutput) {
        Statement output{.kind = Kind::kOutput, .line = token.line};
        ATTNRL_ASSIGN_OR_RETURN(output.expression, ParseExpression(tokens_));
        ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kCloseOutput, "}}"));
        block->push_back(std::move(output));
      } else {
        ATTNRL_RETURN_IF_ERROR(Tag(block));
      }
    }
    --depth_;
    return absl::OkStatus();
  }

  absl::Status Tag(Block* block) {
    const Token name = tokens_.Next();
    Statement statement{.line = name.line};
    if (name.text == "if") {
      ATTNRL_RETURN_IF_ERROR(If(&statement));
    } else if (name.text == "for") {
      ATTNRL_RETURN_IF_ERROR(For(&statement));
    } else if (name.text == "set") {
      ATTNRL_RETURN_IF_ERROR(Set(&statement));
    } else if (name.text == "break" || name.text == "continue") {
      if (loops_ == 0) {
        return tokens_.ErrorAt(name.line, absl::StrCat("{% ", name.text, " %} outside of a loop"),
                               "one within {% for %}");
      }
      statement.kind = name.text == "break" ? Kind::kBreak : Kind::kContinue;
      ATTNRL_RETURN_IF_ERROR(CloseTag());
    } else if (name.text == "generation") {
      ATTNRL_RETURN_IF_ERROR(CloseTag());
      ATTNRL_RETURN_IF_ERROR(Statements(block));
      return End("endgeneration");
    } else {
      return tokens_.ErrorAt(name.line,
                             absl::StrCat("the statement {% ", OneLine(name.text, 40), " %}"),
                             "for, if, set, break, continue and generation are supported");
    }
    block->push_back(std::move(statement));
    return absl::OkStatus();
  }

  absl::Status CloseTag() { return tokens_.Expect(TokenKind::kCloseBlock, "%}"); }

  // The tag that closes a block.
  absl::Status End(const char* name) {
    if (tokens_.Peek().kind != TokenKind::kOpenBlock || tokens_.Peek(1).text != name) {
      return tokens_.Unexpected(absl::StrCat("{% ", name, " %}"));
    }
    tokens_.Next();
    tokens_.Next();
    return CloseTag();
  }
  // Skips `{% name`, without its close.
  bool SkipTag(const char* name) {
    if (tokens_.Peek().kind != TokenKind::kOpenBlock || tokens_.Peek(1).text != name) return false;
    tokens_.Next();
    tokens_.Next();
    return true;
  }

  // After `{% if` or `{% elif`.
  absl::Status If(Statement* statement) {
    statement->kind = Kind::kIf;
    ATTNRL_ASSIGN_OR_RETURN(statement->expression, ParseExpression(tokens_));
    ATTNRL_RETURN_IF_ERROR(CloseTag());
    ATTNRL_RETURN_IF_ERROR(Statements(&statement->body));
    if (SkipTag("elif")) {
      if (++depth_ > kMaxDepth) return tokens_.Unexpected("fewer branches of an if");
      Statement nested{.line = tokens_.Peek().line};
      ATTNRL_RETURN_IF_ERROR(If(&nested));
      statement->otherwise.push_back(std::move(nested));
      --depth_;
      return absl::OkStatus();  // the innermost one took the endif
    }
    if (SkipTag("else")) {
      ATTNRL_RETURN_IF_ERROR(CloseTag());
      ATTNRL_RETURN_IF_ERROR(Statements(&statement->otherwise));
    }
    return End("endif");
  }

  absl::Status For(Statement* statement) {
    statement->kind = Kind::kFor;
    do {
      statement->targets.push_back(tokens_.Peek().text);
      ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "a name"));
    } while (tokens_.SkipSymbol(","));
    if (!tokens_.SkipName("in")) return tokens_.Unexpected("\"in\"");
    // What follows "if" here chooses the elements.
    ATTNRL_ASSIGN_OR_RETURN(statement->expression, ParseExpression(tokens_, false));
    if (tokens_.SkipName("if")) {
      ATTNRL_ASSIGN_OR_RETURN(statement->condition, ParseExpression(tokens_));
    }
    if (tokens_.SeesName("recursive")) {
      return tokens_.ErrorAt(statement->line, "a recursive {% for %}", "a loop over a list");
    }
    ATTNRL_RETURN_IF_ERROR(CloseTag());
    ++loops_;
    ATTNRL_RETURN_IF_ERROR(Statements(&statement->body));
    --loops_;
    if (SkipTag("else")) {
      ATTNRL_RETURN_IF_ERROR(CloseTag());
      ATTNRL_RETURN_IF_ERROR(Statements(&statement->otherwise));
    }
    return End("endfor");
  }

  absl::Status Set(Statement* statement) {
    statement->kind = Kind::kSet;
    do {
      std::string target = tokens_.Peek().text;
      ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "a name"));
      if (tokens_.SkipSymbol(".")) {
        absl::StrAppend(&target, ".", tokens_.Peek().text);
        ATTNRL_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of an attribute"));
      }
      statement->targets.push_back(std::move(target));
    } while (tokens_.SkipSymbol(","));
    if (!tokens_.SeesSymbol("=")) {
      return tokens_.ErrorAt(statement->line, "{% set %} without a value",
                             "{% set name = value %} is supported");
    }
    tokens_.Next();
    ATTNRL_ASSIGN_OR_RETURN(statement->expression, ParseExpression(tokens_));
    return CloseTag();
  }

  TokenReader tokens_;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

absl::StatusOr<Block> ParseTemplate(std::string_view source, const std::string& where) {
  ATTNRL_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source, where));
  return Parser(TokenReader(std::move(tokens), where)).Whole();
}

}  // namespace attnrl::text::jinja
