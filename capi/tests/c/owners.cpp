/* The C++ owners, moved, emptied and thrown at: owners LOG */
#include <etlring.hpp>

#include "check.h"

#include <utility>
#include <vector>

namespace {

constexpr etlring_guid guid = {0x11, 0x22, 0x33, {4, 4, 4, 4, 4, 4, 4, 4}};
constexpr etlring_event_descriptor event = {1, 0, 0, 4, 0, 0, 0x8};

template <class Call> etlring_status status_of(Call call) {
    try {
        call();
    } catch (const etlring::error &error) {
        const std::string what = error.what();
        CHECK(what.find(etlring_status_name(error.status())) != std::string::npos);
        return error.status();
    }
    return ETLRING_OK;
}

void record(const char *path) {
    etlring::session_options options("owners");
    options.log_file = path;
    options.maximum_buffers = 8;
    etlring::session first(options);
    CHECK(status_of([&] { etlring::session second(options); }) == ETLRING_ERROR_ALREADY_EXISTS);

    std::vector<uint32_t> told;
    etlring::provider provider(guid, "Example-Owners", [&](const etlring_change &change) {
        told.push_back(change.control);
    });
    first.enable(guid, 4);
    etlring::session session = std::move(first);
    CHECK(first.get() == nullptr && first.logger() == nullptr && first.id() == 0);
    CHECK(status_of([&] { first.flush(); }) == ETLRING_ERROR_INVALID_HANDLE);
    CHECK(status_of([&] { session.snapshot("x"); }) == ETLRING_ERROR_NOT_SUPPORTED);
    CHECK(provider.enabled(4, 8) && !provider.enabled(5, 8));

    const uint16_t table = 7;
    CHECK(provider.write(event) == ETLRING_OK);
    CHECK(provider.write(event, table, std::string_view("coffee")) == ETLRING_OK);
    const std::string what = "two cakes";
    const double price = 3.5;
    const int64_t below = -1;
    const etlring_guid activity = etlring::new_activity();
    {
        const etlring::activity_scope scope(activity);
        CHECK(provider.write_fields(event, "Sold",
                                    {etlring::field("what", what), etlring::field("price", price),
                                     etlring::field("table", table), etlring::field("id", guid),
                                     etlring::field("below", below),
                                     etlring::field("wide", std::u16string_view(u"th\u00e9"))}) ==
              ETLRING_OK);
    }
    CHECK(provider.write_string(4, 8, "bye") == ETLRING_OK);
    etlring::provider moved = std::move(provider);
    CHECK(provider.write(event) == ETLRING_ERROR_INVALID_HANDLE);
    session.stop();
    CHECK((told == std::vector<uint32_t>{ETLRING_CONTROL_ENABLE, ETLRING_CONTROL_DISABLE}));
    CHECK(session.statistics().events_accepted == 4);

    etlring::reader reader(path);
    std::vector<size_t> sizes;
    while (const etlring_record *record = reader.next()) {
        if (record->header == ETLRING_HEADER_EVENT) {
            sizes.push_back(record->payload_size);
            const bool in_scope = memcmp(&record->activity, &activity, sizeof activity) == 0;
            CHECK(in_scope == (sizes.size() == 3));
        }
    }
    CHECK((sizes == std::vector<size_t>{0, 8, 2 + 9 + 8 + 2 + 16 + 8 + 2 + 6, 8}));
    CHECK(status_of([] { etlring::reader none("/no/such/file.etl"); }) ==
          ETLRING_ERROR_BAD_PATHNAME);
}

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 2);
    record(argv[1]);
    return 0;
}
