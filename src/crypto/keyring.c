#include "crypto/keyring.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/keyring_internal.h"

#include "base/banned.h"

static const char EXTRACT_SALT[] = "token-service v1";
static const char ID_LABEL[] = "key id";
#define ID_BYTES 4

/* HKDF-Extract: the pseudo-random key of @text into @ret_prk, SHA256_SIZE bytes. */
static enum err extract(EVP_KDF *hkdf, const struct secret *text, unsigned char *ret_prk)
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);
	int mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (char *)EXTRACT_SALT,
						  sizeof(EXTRACT_SALT) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, text->data, text->len),
		OSSL_PARAM_construct_end(),
	};
	int done = ctx ? EVP_KDF_derive(ctx, ret_prk, SHA256_SIZE, params) : 0;

	EVP_KDF_CTX_free(ctx);
	return done == 1 ? ERR_OK : ERR_INTERNAL;
}

/* Keys @key->expand with the pseudo-random key @prk. */
static enum err prepare_expand(EVP_KDF *hkdf, unsigned char *prk, struct key *key)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, prk, SHA256_SIZE),
		OSSL_PARAM_construct_end(),
	};

	key->expand = EVP_KDF_CTX_new(hkdf);
	if (!key->expand || EVP_KDF_CTX_set_params(key->expand, params) != 1)
		return ERR_INTERNAL;
	return ERR_OK;
}

static enum err expand(const struct key *key, const void *info, size_t info_len,
		       unsigned char *ret_key, size_t len)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_len),
		OSSL_PARAM_construct_end(),
	};

	return EVP_KDF_derive(key->expand, ret_key, len, params) == 1 ? ERR_OK : ERR_INTERNAL;
}

static enum err add_key(struct keyring *keyring, const struct secret *text)
{
	struct key *key = &keyring->keys[keyring->count];
	unsigned char prk[SHA256_SIZE] = { 0 }, id[ID_BYTES] = { 0 };
	size_t same;
	enum err err = extract(keyring->hkdf, text, prk);

	if (!err)
		err = prepare_expand(keyring->hkdf, prk, key);
	explicit_bzero(prk, sizeof(prk));
	if (!err)
		err = expand(key, ID_LABEL, sizeof(ID_LABEL) - 1, id, sizeof(id));
	hex_encode(id, sizeof(id), key->id);
	if (err || !keyring_find(keyring, key->id, &same)) {
		EVP_KDF_CTX_free(key->expand);
		*key = (struct key){ 0 };
		return err;
	}
	keyring->count++;
	return ERR_OK;
}

/* Adds every key of the comma-separated list @list, blanks around them and empty ones left out. */
static enum err add_list(struct keyring *keyring, const char *list)
{
	CLEANUP(secret_release) struct secret copy = { 0 };
	char *save = NULL;
	enum err err = ERR_OK;

	secret_set(&copy, list);
	for (char *text = strtok_r(copy.data, ", \t", &save); !err && text;
	     text = strtok_r(NULL, ", \t", &save)) {
		struct secret key = { .data = text, .len = strlen(text) }; /* borrowed */

		err = add_key(keyring, &key);
	}
	return err;
}

static size_t list_max(const char *list)
{
	size_t count = 1;

	for (; *list; list++)
		count += strchr(", \t", *list) != NULL;
	return count;
}

enum err keyring_new(const char *current, const char *previous, struct keyring **ret_keyring)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = mem_alloc(sizeof(*keyring));
	CLEANUP(secret_release) struct secret text = { 0 };
	enum err err;

	if (!previous)
		previous = "";
	keyring->keys = mem_alloc((1 + list_max(previous)) * sizeof(*keyring->keys));
	keyring->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	keyring->aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	keyring->cipher_ctx = EVP_CIPHER_CTX_new();
	secret_set(&text, current);
	if (!keyring->hkdf || !keyring->aes_256_gcm || !keyring->cipher_ctx ||
	    !secret_is_set(&text))
		return ERR_INTERNAL;
	err = add_key(keyring, &text);
	if (!err && *previous)
		err = add_list(keyring, previous);
	if (err)
		return err;
	*ret_keyring = keyring;
	keyring = NULL;
	return ERR_OK;
}

void keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return;
	for (size_t i = 0; i < keyring->count; i++)
		EVP_KDF_CTX_free(keyring->keys[i].expand);
	EVP_CIPHER_CTX_free(keyring->cipher_ctx);
	EVP_CIPHER_free(keyring->aes_256_gcm);
	EVP_KDF_free(keyring->hkdf);
	free(keyring->keys);
	free(keyring);
}

void keyring_free_ptr(struct keyring **keyring)
{
	keyring_free(*keyring);
}

size_t keyring_count(const struct keyring *keyring)
{
	return keyring->count;
}

const char *keyring_id(const struct keyring *keyring, size_t index)
{
	return keyring->keys[index].id;
}

enum err keyring_find(const struct keyring *keyring, const char *id, size_t *ret_index)
{
	for (size_t i = 0; i < keyring->count; i++) {
		if (!strncmp(keyring->keys[i].id, id, KEY_ID_SIZE - 1)) {
			*ret_index = i;
			return ERR_OK;
		}
	}
	return ERR_SECRET_KEY_UNKNOWN;
}

enum err keyring_derive(const struct keyring *keyring, size_t index, const void *info,
			size_t info_len, unsigned char *ret_key, size_t len)
{
	if (!info_len || info_len > KEYRING_INFO_MAX)
		return ERR_LIMIT;
	return expand(&keyring->keys[index], info, info_len, ret_key, len);
}
