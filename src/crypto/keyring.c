#include "crypto/keyring.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/hmac.h>
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
static enum err extract(const struct secret *text, unsigned char *ret_prk)
{
	return HMAC(EVP_sha256(), EXTRACT_SALT, sizeof(EXTRACT_SALT) - 1,
		    (const unsigned char *)text->data, text->len, ret_prk, NULL)
		       ? ERR_OK
		       : ERR_INTERNAL;
}

/* Keys @key->expand with the pseudo-random key @prk. */
static enum err prepare_expand(EVP_MAC *hmac, const unsigned char *prk, struct key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	key->expand = EVP_MAC_CTX_new(hmac);
	if (!key->expand || EVP_MAC_init(key->expand, prk, SHA256_SIZE, params) != 1)
		return ERR_INTERNAL;
	return ERR_OK;
}

/* HKDF-Expand, its first block: all that is ever needed of it. OpenSSL's own takes three times as
 * long, for it hashes the key anew each time. */
static enum err expand(const struct key *key, const void *info, size_t info_len,
		       unsigned char *ret_key)
{
	static const unsigned char first = 1;
	size_t len = 0;

	/* Without a key it begins again under the one that it has. */
	if (EVP_MAC_init(key->expand, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(key->expand, info, info_len) != 1 ||
	    EVP_MAC_update(key->expand, &first, sizeof(first)) != 1 ||
	    EVP_MAC_final(key->expand, ret_key, &len, SHA256_SIZE) != 1 || len != SHA256_SIZE)
		return ERR_INTERNAL;
	return ERR_OK;
}

static enum err add_key(struct keyring *keyring, const struct secret *text)
{
	struct key *key = &keyring->keys[keyring->count];
	unsigned char prk[SHA256_SIZE] = { 0 }, id[SHA256_SIZE] = { 0 };
	size_t same;
	enum err err = extract(text, prk);

	if (!err)
		err = prepare_expand(keyring->hmac, prk, key);
	explicit_bzero(prk, sizeof(prk));
	if (!err)
		err = expand(key, ID_LABEL, sizeof(ID_LABEL) - 1, id);
	hex_encode(id, ID_BYTES, key->id);
	if (err || !keyring_find(keyring, key->id, &same)) {
		EVP_MAC_CTX_free(key->expand);
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
	keyring->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	keyring->aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	keyring->cipher_ctx = EVP_CIPHER_CTX_new();
	secret_set(&text, current);
	if (!keyring->hmac || !keyring->aes_256_gcm || !keyring->cipher_ctx ||
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
		EVP_MAC_CTX_free(keyring->keys[i].expand);
	EVP_CIPHER_CTX_free(keyring->cipher_ctx);
	EVP_CIPHER_free(keyring->aes_256_gcm);
	EVP_MAC_free(keyring->hmac);
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
			size_t info_len, unsigned char *ret_key)
{
	if (!info_len || info_len > KEYRING_INFO_MAX)
		return ERR_LIMIT;
	return expand(&keyring->keys[index], info, info_len, ret_key);
}
