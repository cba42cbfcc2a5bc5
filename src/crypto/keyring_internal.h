/* For keyring.c and seal.c only. */
#ifndef CRYPTO_KEYRING_INTERNAL_H
#define CRYPTO_KEYRING_INTERNAL_H

#include <openssl/evp.h>

#include "crypto/keyring.h"

struct key {
	char id[KEY_ID_SIZE];
	EVP_MAC_CTX *expand; /* HMAC, keyed; OpenSSL wipes it when it is freed */
};

struct keyring {
	struct key *keys;
	size_t count;
	/* Fetched once: a fetch costs more than what it is for. */
	EVP_MAC *hmac;
	EVP_CIPHER *aes_256_gcm;
	EVP_CIPHER_CTX *cipher_ctx;
};

#endif
