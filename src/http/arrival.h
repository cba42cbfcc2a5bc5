/*
 * How much of a FastCGI request is there, from bytes that were only looked at: libfcgi reads a
 * request at once and waits for what is missing, which must not become everybody's wait.
 */
#ifndef HTTP_ARRIVAL_H
#define HTTP_ARRIVAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Do the @len bytes at @data, from the begin of a record on, hold a whole request (up to the empty
 * record that ends its body: FastCGI specification, sections 3.3 and 6.1), or what libfcgi decides
 * on without reading on: another version of the protocol, an abort?
 */
bool arrival_is_whole(const unsigned char *data, size_t len);

#endif
