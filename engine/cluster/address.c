/* SPDX-License-Identifier: MIT
 *
 * Addresses and fixed fields as text: copying with padding, and telling an IP address from a host
 * name, because the bus knows addresses only.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

#define IP_SIZE_MAX 45u /* an IPv6 address with an IPv4 tail, every digit written */
#define IPV6_GROUPS 8

void shoal_bus__copy_text(char *to, size_t size, shoal_slice text)
{
    SHOAL_ASSERT(text.size == 0 || text.data);
    SHOAL_ASSERT(size > 0);
    size_t length = text.size < size ? text.size : size - 1;
    if (length > 0) memmove(to, text.data, length);
    memset(to + length, 0, size - length);
}

shoal_slice shoal_bus__field(const char *field, size_t size)
{
    SHOAL_ASSERT(field);
    SHOAL_ASSERT(size > 0);
    size_t length = 0;
    while (length < size && field[length]) length++;
    return (shoal_slice){field, length};
}

/* Four numbers of 0 to 255 without needless zeros, with dots between them. */
static bool is_ipv4(shoal_slice text)
{
    SHOAL_ASSERT(text.size <= IP_SIZE_MAX);
    int parts = 0;
    size_t start = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '.') continue;
        uint64_t number;
        if (!shoal_text_to_u64((shoal_slice){text.data + start, i - start}, &number)) return false;
        if (number > 255) return false;
        start = i + 1;
        parts++;
    }
    return parts == 4;
}

static bool is_group(shoal_slice text)
{
    SHOAL_ASSERT(text.size <= IP_SIZE_MAX);
    uint64_t ignored;
    return text.size <= 4 && shoal_text_to_hex(text, &ignored);
}

/* Counts the groups of one side of "::"; an IPv4 tail is two. -1 when there is something else. */
static int count_groups(shoal_slice text, bool tail)
{
    SHOAL_ASSERT(text.size <= IP_SIZE_MAX);
    int groups = 0;
    size_t start = 0;
    if (text.size == 0) return 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != ':') continue;
        shoal_slice group = {text.data + start, i - start};
        if (is_group(group)) {
            groups++;
        } else if (tail && i == text.size && is_ipv4(group)) {
            groups += 2;
        } else {
            return -1;
        }
        start = i + 1;
    }
    return groups;
}

/* The part before a zone such as "%eth0"; empty when the zone is not one. */
static shoal_slice without_zone(shoal_slice text)
{
    SHOAL_ASSERT(text.size > 0);
    size_t percent = shoal_text_find(text, shoal_text("%"));
    if (percent == SHOAL_TEXT_NONE) return text;
    shoal_slice zone = {text.data + percent + 1, text.size - percent - 1};
    bool valid = zone.size > 0 && shoal_bus__is_hostname(zone);
    return (shoal_slice){text.data, valid ? percent : 0};
}

static bool is_ipv6(shoal_slice text)
{
    SHOAL_ASSERT(text.size > 0);
    SHOAL_ASSERT(text.size <= IP_SIZE_MAX);
    text = without_zone(text);
    size_t gap = shoal_text_find(text, shoal_text("::"));
    if (gap == SHOAL_TEXT_NONE) return count_groups(text, true) == IPV6_GROUPS;
    int before = count_groups((shoal_slice){text.data, gap}, false);
    int after = count_groups((shoal_slice){text.data + gap + 2, text.size - gap - 2}, true);
    return before >= 0 && after >= 0 && before + after < IPV6_GROUPS;
}

bool shoal_bus__is_ip(shoal_slice text)
{
    SHOAL_ASSERT(text.size == 0 || text.data);
    if (text.size == 0 || text.size > IP_SIZE_MAX) return false;
    return is_ipv4(text) || is_ipv6(text);
}

bool shoal_bus__is_name(const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(name);
    for (size_t i = 0; i < SHOAL_NODE_NAME_LEN; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'))) return false;
    }
    return true;
}

bool shoal_bus__is_hostname(shoal_slice text)
{
    SHOAL_ASSERT(text.size == 0 || text.data);
    if (text.size >= BUS_HOSTNAME_SIZE) return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = shoal_text_lower(text.data[i]);
        bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.';
        if (!allowed) return false;
    }
    return true;
}
