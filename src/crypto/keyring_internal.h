/* For keyring.c and seal.c only. */
#ifndef CRYPTO_KEYRING_INTERNAL_H
#define CRYPTO_KEYRING_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "crypto/keyring.h"

struct key {
	char id[KEY_ID_SIZE];
	EVP_KDF_CTX *expand; /* HKDF-Expand, keyed; OpenSSL wipes it when it is freed */
};

struct keyring {
	struct key *keys;
	size_t count;
	/* Fetched once: a fetch costs more than what it is for. */
	EVP_KDF *hkdf;
	EVP_CIPHER *aes_256_gcm;
	EVP_CIPHER_CTX *cipher_ctx;
};

#endif
