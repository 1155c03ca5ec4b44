#![no_main]
//! A message of any bytes: its fields take the space that its flags say.

use etlring::codec::MessageView;
use etlring::format::MessageFlags;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    let Ok(message) = MessageView::parse(record) else { return };
    let has = |flag| message.flags().has(flag);
    let component = has(MessageFlags::COMPONENTID);
    let guid = has(MessageFlags::GUID) && !component;
    let stamp = has(MessageFlags::TIMESTAMP);
    let ids = has(MessageFlags::SYSTEMINFO);

    assert_eq!(message.sequence().is_some(), has(MessageFlags::SEQUENCE));
    assert_eq!(message.component().is_some(), component);
    assert_eq!(message.guid().is_some(), guid);
    assert_eq!(message.ticks().is_some(), stamp);
    assert_eq!(message.thread_id().is_some(), ids);
    assert_eq!(message.process_id().is_some(), ids);

    let stamp_space = stamp || has(MessageFlags::PERFORMANCE_TIMESTAMP);
    let fields = 4 * usize::from(has(MessageFlags::SEQUENCE))
        + 4 * usize::from(component)
        + 16 * usize::from(guid)
        + 8 * usize::from(stamp_space)
        + 8 * usize::from(ids);
    assert_eq!(message.arguments_offset(), 8 + fields);
    assert!(message.arguments_offset() <= record.len());
});
