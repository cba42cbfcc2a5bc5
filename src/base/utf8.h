#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True when @len bytes at @s are well-formed UTF-8 (RFC 3629) without NUL;
 * @ret_chars (may be NULL) gets the number of code points. */
bool utf8_valid(const char *s, size_t len, size_t *ret_chars);

/* Length of the well-formed sequence that the string @s begins with; 0: none, or at its end. */
size_t utf8_sequence(const char *s);

#endif
