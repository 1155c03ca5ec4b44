//! What `EventActivityIdControl` does and answers.

use crate::code;
use etlring::format::Guid;
use etlring::message::{ActivityControl, event_activity_id_control};

/// The answer, and the id behind the call, which was given `id`.
fn control(control: ActivityControl, mut id: Guid) -> (u32, Guid) {
    (code(event_activity_id_control(control, &mut id)), id)
}

fn current() -> Guid {
    control(ActivityControl::GET_ID, Guid::from_u128(99)).1
}

#[test]
fn of_every_code() {
    let [one, two] = [1, 2].map(Guid::from_u128);
    assert_eq!(control(ActivityControl(1), one), (0, Guid::ZERO));
    assert_eq!((control(ActivityControl(2), one), current()), ((0, one), one));
    let (answer, made) = control(ActivityControl(3), two);
    assert!(answer == 0 && made != two && !made.is_zero());
    assert_eq!(current(), one);
    assert_eq!((control(ActivityControl(4), two), current()), ((0, one), two));
    assert_eq!(control(ActivityControl(5), one), (0, two));
    let set = current();
    assert!(![Guid::ZERO, one, two, made].contains(&set));
    // Another thread has its own.
    assert_eq!(std::thread::spawn(current).join().unwrap(), Guid::ZERO);
}

#[test]
fn unknown_code() {
    let id = Guid::from_u128(5);
    for code in [0, 6, u32::MAX] {
        assert_eq!(control(ActivityControl(code), id), (87, id));
    }
    assert_eq!(current(), Guid::ZERO);
    let mut id = id;
    assert_eq!(code(event_activity_id_control(ActivityControl(7), &mut id)), 87);
}
