#include "http/arrival.h"

#include <fastcgi.h>

#include "base/banned.h"

bool arrival_is_whole(const unsigned char *data, size_t len)
{
	while (len >= FCGI_HEADER_LEN) {
		size_t content = (size_t)data[4] << 8 | data[5];
		size_t record = FCGI_HEADER_LEN + content + data[6];

		if (data[0] != FCGI_VERSION_1)
			return true;
		if (record > len)
			return false;
		if (data[1] == FCGI_ABORT_REQUEST || (data[1] == FCGI_STDIN && !content))
			return true;
		data += record;
		len -= record;
	}
	return false;
}
