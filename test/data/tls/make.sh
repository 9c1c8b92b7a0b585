#!/bin/sh
# Made the certificates and keys in this folder, once, with OpenSSL 3.0. They are for tests only, and public.
# They are shipped so that the tests need no openssl program and no wall clock: valid from 2020 to 2120.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=%s\ndatabase=%s/index\nserial=%s/serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\norganizationName=optional\n' \
  "$scratch" "$scratch" "$scratch" >"$scratch/ca.conf"
: >"$scratch/index"
echo 01 >"$scratch/serial"

# make NAME SUBJECT END EXTENSION CA: a new key and its certificate, signed by CA (itself for a CA).
make() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -addext "$4" -out "$scratch/$1.csr"
  signer="-cert $5.crt -keyfile $5.key"
  if [ "$5" = "$1" ]; then signer="-selfsign -keyfile $1.key"; fi
  # shellcheck disable=SC2086 # the signer is several words
  openssl ca -batch -notext -config "$scratch/ca.conf" $signer \
    -startdate 20200101000000Z -enddate "$3" -in "$scratch/$1.csr" -out "$1.crt"
}
make ca '/CN=sluice test CA' 21200101000000Z basicConstraints=critical,CA:TRUE ca
make other-ca '/CN=sluice other test CA' 21200101000000Z basicConstraints=critical,CA:TRUE other-ca
make server /CN=localhost 21200101000000Z subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 ca
make expired /CN=localhost 20210101000000Z subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 ca
make elsewhere /CN=elsewhere.example 21200101000000Z subjectAltName=DNS:elsewhere.example ca
make client '/CN=tester/O=testers' 21200101000000Z extendedKeyUsage=clientAuth ca
