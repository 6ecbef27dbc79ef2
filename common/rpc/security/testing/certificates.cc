// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/testing/certificates.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace attnrl::rpc {
namespace {

struct Deleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter>;
using X509Pointer = std::unique_ptr<X509, Deleter>;

Key NewKey() { return Key(EVP_EC_gen("P-256")); }

void Add(X509* certificate, X509* issuer, int extension, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, extension, value.c_str());
  ASSERT_NE(made, nullptr) << value;
  EXPECT_EQ(X509_add_ext(certificate, made, -1), 1);
  X509_EXTENSION_free(made);
}

X509Pointer NewCertificate(const std::string& name, EVP_PKEY* key, absl::Duration valid_for) {
  X509Pointer certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -24 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), absl::ToInt64Seconds(valid_for));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

// Beside its place first, so that nobody reads half of it.
template <typename Write>
void WriteFile(const std::string& path, Write write) {
  const std::string half = path + ".new";
  FILE* file = std::fopen(half.c_str(), "w");
  ASSERT_NE(file, nullptr) << half;
  EXPECT_EQ(write(file), 1);
  std::fclose(file);
  EXPECT_EQ(std::rename(half.c_str(), path.c_str()), 0);
}

void WriteCertificate(const std::string& path, X509* certificate) {
  WriteFile(path, [&](FILE* file) { return PEM_write_X509(file, certificate); });
}

void WriteKey(const std::string& path, EVP_PKEY* key) {
  WriteFile(path, [&](FILE* file) {
    return PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

}  // namespace

struct CertificateAuthority::Parts {
  Key key = NewKey();
  X509Pointer certificate = NewCertificate("a CA of a test", key.get(), absl::Hours(1));
};

CertificateAuthority::CertificateAuthority() : parts_(std::make_unique<Parts>()) {
  X509* self = parts_->certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  Add(self, self, NID_basic_constraints, "critical,CA:TRUE");
  Add(self, self, NID_key_usage, "critical,keyCertSign");
  EXPECT_NE(X509_sign(self, parts_->key.get(), EVP_sha256()), 0);
  WriteCertificate(folder_ / "ca.crt", self);
}

CertificateAuthority::~CertificateAuthority() = default;

Security CertificateAuthority::Issue(const std::string& name, const CertificateText& text) const {
  const Key key = NewKey();
  const X509Pointer made = NewCertificate(name, key.get(), text.valid_for);
  X509_set_issuer_name(made.get(), X509_get_subject_name(parts_->certificate.get()));
  std::vector<std::string> names;
  for (const std::string& uri : text.uris) names.push_back("URI:" + uri);
  for (const std::string& dns : text.dns_names) names.push_back("DNS:" + dns);
  if (!names.empty()) {
    Add(made.get(), parts_->certificate.get(), NID_subject_alt_name, absl::StrJoin(names, ","));
  }
  EXPECT_NE(X509_sign(made.get(), parts_->key.get(), EVP_sha256()), 0);
  WriteKey(folder_ / (name + ".key"), key.get());
  WriteCertificate(folder_ / (name + ".crt"), made.get());
  return {.run_id = "r",
          .certificate = folder_ / (name + ".crt"),
          .key = folder_ / (name + ".key"),
          .ca = folder_ / "ca.crt",
          .refresh = absl::Seconds(1)};
}

Security CertificateAuthority::Issue(const std::string& role) const {
  return Issue(role, {.uris = {absl::StrCat("spiffe://attnrl/r/", role)}});
}

}  // namespace attnrl::rpc
