// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/security/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"

namespace attnrl::rpc {
namespace {

constexpr char kSystem[] = "system";
constexpr char kPem[] = "a PEM file that this process may read";

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Chain = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using AlternativeNames = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

// A key that is protected by a passphrase is refused instead of asking for it.
int NoPassphrase(char*, int, int, void*) { return -1; }

// The first object of the file.
template <typename Pointer, typename Read>
absl::StatusOr<Pointer> ReadPem(const char* name, const std::string& file, const char* what,
                                Read read) {
  const Bio bio(BIO_new_file(file.c_str(), "r"));
  if (bio == nullptr) return InputError(name, absl::StrCat(file, " can't be read"), kPem);
  Pointer object(read(bio.get(), nullptr, NoPassphrase, nullptr));
  if (object == nullptr) return InputError(name, absl::StrCat(file, " holds no ", what), kPem);
  return object;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

std::vector<std::string> UrisOf(const X509* certificate) {
  std::vector<std::string> uris;
  const AlternativeNames names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  return uris;
}

}  // namespace

absl::StatusOr<std::string> CaFile(const std::string& ca) {
  if (ca != kSystem) return ca;
  // Debian, Ubuntu and distroless images; Fedora and RHEL; openSUSE.
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem"}) {
    std::error_code error;
    if (std::filesystem::is_regular_file(file, error)) return file;
  }
  return InputError("security.ca", "this system keeps no certificates where they are looked for",
                    "a file of certificates");
}

absl::StatusOr<absl::Time> ReadExpiry(const std::string& file) {
  ATTNRL_ASSIGN_OR_RETURN(
      const Chain certificate,
      ReadPem<Chain>("security.certificate", file, "certificate", PEM_read_bio_X509));
  return TimeOf(X509_get0_notAfter(certificate.get()));
}

absl::StatusOr<Certificate> ReadCertificate(const Security& security) {
  constexpr char kCertificate[] = "security.certificate";
  ATTNRL_ASSIGN_OR_RETURN(
      const Chain certificate,
      ReadPem<Chain>(kCertificate, security.certificate, "certificate", PEM_read_bio_X509));
  ATTNRL_ASSIGN_OR_RETURN(
      const Key key, ReadPem<Key>("security.key", security.key, "private key without a passphrase",
                                  PEM_read_bio_PrivateKey));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return InputError("security.key",
                      absl::StrCat(security.key, " is not the key of ", security.certificate),
                      "the private key that the certificate was made for");
  }
  Certificate out;
  out.not_after = TimeOf(X509_get0_notAfter(certificate.get()));
  if (out.not_after <= absl::Now()) {
    return InputError(kCertificate,
                      absl::StrCat(security.certificate, " expired at ",
                                   absl::FormatTime(out.not_after, absl::UTCTimeZone())),
                      "one that is valid now");
  }
  const absl::StatusOr<Identity> identity = IdentityOf(UrisOf(certificate.get()), security.run_id);
  if (!identity.ok()) {
    return InputError(kCertificate,
                      absl::StrCat(security.certificate, ": ", identity.status().message()),
                      "a certificate of this run");
  }
  out.identity = *identity;
  ATTNRL_ASSIGN_OR_RETURN(const std::string ca, CaFile(security.ca));
  ATTNRL_RETURN_IF_ERROR(
      ReadPem<Chain>("security.ca", ca, "certificate", PEM_read_bio_X509).status());
  return out;
}

}  // namespace attnrl::rpc
