/* The tracing interface of IIS modules, with its own names and layout.
 *
 * Characters of LPCWSTR have 16 bits: char16_t, so u"text"; or wchar_t where that has 16 bits
 * (Windows, and -fshort-wchar), so that L"text" is what it is there. On Windows the types of
 * windows.h are used.
 *
 * Source: Microsoft, the pages of httptrace.h and httpserv.h.
 */
#ifndef ETLRING_IIS_HPP
#define ETLRING_IIS_HPP

#include "etlring.h"

#include <cstddef>

#ifdef _WIN32
#include <windows.h>
#else

using BYTE = uint8_t;
using UCHAR = uint8_t;
using USHORT = uint16_t;
using ULONG = uint32_t;
using DWORD = uint32_t;
using BOOL = int32_t;
using HRESULT = int32_t;
using PBYTE = BYTE *;
using GUID = etlring_guid;
using LPCGUID = const GUID *;
using VOID = void;
using PVOID = void *;
#if defined(__SIZEOF_WCHAR_T__) && __SIZEOF_WCHAR_T__ == 2
using WCHAR = wchar_t;
#else
using WCHAR = char16_t;
#endif
using LPCWSTR = const WCHAR *;
using PCWSTR = const WCHAR *;
using LPCSTR = const char *;

#ifndef FALSE
#define FALSE 0
#endif
#ifndef TRUE
#define TRUE 1
#endif
#ifndef IN
#define IN
#endif
#ifndef OUT
#define OUT
#endif
#ifndef S_OK
#define S_OK ((HRESULT)0)
#define E_FAIL ((HRESULT)0x80004005)
#define E_OUTOFMEMORY ((HRESULT)0x8007000E)
#define SUCCEEDED(result) ((HRESULT)(result) >= 0)
#define FAILED(result) ((HRESULT)(result) < 0)
#endif
#endif

static_assert(sizeof(WCHAR) == 2, "characters of IIS have 16 bits");
static_assert(sizeof(GUID) == 16 && sizeof(DWORD) == 4 && sizeof(BOOL) == 4, "as on Windows");

using HTTP_MODULE_ID = void *;

/* Numbers of VARIANT for the types of items. */
enum HTTP_TRACE_TYPE {
    HTTP_TRACE_TYPE_BYTE = 17,
    HTTP_TRACE_TYPE_USHORT = 18,
    HTTP_TRACE_TYPE_ULONG = 19,
    HTTP_TRACE_TYPE_ULONGLONG = 21,
    HTTP_TRACE_TYPE_CHAR = 16,
    HTTP_TRACE_TYPE_SHORT = 2,
    HTTP_TRACE_TYPE_LONG = 3,
    HTTP_TRACE_TYPE_LONGLONG = 20,
    HTTP_TRACE_TYPE_LPCWSTR = 31,
    HTTP_TRACE_TYPE_LPCSTR = 30,
    HTTP_TRACE_TYPE_LPCGUID = 72,
    HTTP_TRACE_TYPE_BOOL = 11
};

/* Names and descriptions live as long as the process and never change. */
#define HTTP_TRACE_EVENT_FLAG_STATIC_DESCRIPTIVE_FIELDS 0x01

#define HTTP_TRACE_LEVEL_START 6
#define HTTP_TRACE_LEVEL_END 7

struct HTTP_TRACE_EVENT_ITEM {
    LPCWSTR pszName;
    HTTP_TRACE_TYPE dwDataType;
    PBYTE pbData;
    DWORD cbData;
    LPCWSTR pszDataDescription;
};

struct HTTP_TRACE_EVENT {
    LPCGUID pProviderGuid;
    DWORD dwArea;
    LPCGUID pAreaGuid;
    DWORD dwEvent;
    LPCWSTR pszEventName;
    DWORD dwEventVersion;
    DWORD dwVerbosity;
    LPCGUID pActivityGuid;
    LPCGUID pRelatedActivityGuid;
    DWORD dwTimeStamp;
    DWORD dwFlags;
    DWORD cEventItems;
    HTTP_TRACE_EVENT_ITEM *pEventItems;
};

struct HTTP_TRACE_CONFIGURATION {
    LPCGUID pProviderGuid;
    DWORD dwAreas;
    DWORD dwVerbosity;
    BOOL fProviderEnabled;
};

/* The documented order of members, at the offsets that it gives. */
#define ETLRING_AT(type, member, offset32, offset64)                                               \
    static_assert(offsetof(type, member) == (sizeof(void *) == 8 ? (offset64) : (offset32)),       \
                  #type "." #member)
static_assert(sizeof(HTTP_TRACE_TYPE) == 4, "HTTP_TRACE_TYPE");
static_assert(sizeof(HTTP_TRACE_EVENT_ITEM) == (sizeof(void *) == 8 ? 40 : 20), "item");
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, pszName, 0, 0);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, dwDataType, 4, 8);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, pbData, 8, 16);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, cbData, 12, 24);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, pszDataDescription, 16, 32);
static_assert(sizeof(HTTP_TRACE_EVENT) == (sizeof(void *) == 8 ? 88 : 52), "event");
ETLRING_AT(HTTP_TRACE_EVENT, pProviderGuid, 0, 0);
ETLRING_AT(HTTP_TRACE_EVENT, dwArea, 4, 8);
ETLRING_AT(HTTP_TRACE_EVENT, pAreaGuid, 8, 16);
ETLRING_AT(HTTP_TRACE_EVENT, dwEvent, 12, 24);
ETLRING_AT(HTTP_TRACE_EVENT, pszEventName, 16, 32);
ETLRING_AT(HTTP_TRACE_EVENT, dwEventVersion, 20, 40);
ETLRING_AT(HTTP_TRACE_EVENT, dwVerbosity, 24, 44);
ETLRING_AT(HTTP_TRACE_EVENT, pActivityGuid, 28, 48);
ETLRING_AT(HTTP_TRACE_EVENT, pRelatedActivityGuid, 32, 56);
ETLRING_AT(HTTP_TRACE_EVENT, dwTimeStamp, 36, 64);
ETLRING_AT(HTTP_TRACE_EVENT, dwFlags, 40, 68);
ETLRING_AT(HTTP_TRACE_EVENT, cEventItems, 44, 72);
ETLRING_AT(HTTP_TRACE_EVENT, pEventItems, 48, 80);
static_assert(sizeof(HTTP_TRACE_CONFIGURATION) == (sizeof(void *) == 8 ? 24 : 16), "configuration");
ETLRING_AT(HTTP_TRACE_CONFIGURATION, dwAreas, 4, 8);
ETLRING_AT(HTTP_TRACE_CONFIGURATION, dwVerbosity, 8, 12);
ETLRING_AT(HTTP_TRACE_CONFIGURATION, fProviderEnabled, 12, 16);
#undef ETLRING_AT

/* Raises the events of one request, or of the server. */
class IHttpTraceContext {
  public:
    virtual HRESULT GetTraceConfiguration(IN OUT HTTP_TRACE_CONFIGURATION *pHttpTraceConfiguration) = 0;
    virtual HRESULT SetTraceConfiguration(IN HTTP_MODULE_ID moduleId,
                                          IN HTTP_TRACE_CONFIGURATION *pHttpTraceConfiguration,
                                          IN DWORD cHttpTraceConfiguration = 1) = 0;
    virtual HRESULT RaiseTraceEvent(IN HTTP_TRACE_EVENT *pTraceEvent) = 0;
    virtual LPCGUID GetTraceActivityId() = 0;
    virtual HRESULT QuickTrace(IN PCWSTR pszData1, IN PCWSTR pszData2 = nullptr,
                               IN HRESULT hrLastError = S_OK, IN UCHAR Level = 4) = 0;

  protected:
    /* Nobody deletes one through this: the request owns it. */
    ~IHttpTraceContext() = default;
};

#endif
