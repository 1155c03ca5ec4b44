//! The shape of a FREB document, checked element by element, and a small tree to compare with.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element with its text; blanks between elements are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Node>,
    pub(crate) text: String,
}

impl Node {
    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            let raw = String::from_utf8(attribute.value.to_vec()).unwrap();
            (key, quick_xml::escape::unescape(&raw).unwrap().into_owned())
        });
        let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
        Self { name, attributes: attributes.collect(), ..Self::default() }
    }

    pub(crate) fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        &found.unwrap_or_else(|| panic!("{} has no {name}", self.name)).1
    }

    pub(crate) fn child(&self, name: &str) -> &Node {
        let found = self.children.iter().find(|child| child.name == name);
        found.unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    /// Name and value of each item of an event.
    pub(crate) fn data(&self) -> Vec<(&str, &str)> {
        let items = self.child("EventData").children.iter();
        items.map(|item| (item.attribute("Name"), item.text.as_str())).collect()
    }
}

/// Reads a document as a tree.
pub(crate) fn parse(text: &str) -> Node {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {text}")) {
            Event::Start(start) => open.push(Node::of(&start)),
            Event::Empty(start) => open.last_mut().unwrap().children.push(Node::of(&start)),
            Event::End(end) => {
                let mut node = open.pop().unwrap();
                assert_eq!(node.name.as_bytes(), end.name().as_ref());
                if !node.children.is_empty() {
                    assert_eq!(node.text.trim(), "", "text beside the elements of {}", node.name);
                    node.text.clear();
                }
                open.last_mut().unwrap().children.push(node);
            }
            Event::Text(text) => {
                // As every parser does with line ends.
                let text = text.decode().unwrap().replace("\r\n", "\n");
                open.last_mut().unwrap().text.push_str(&text);
            }
            Event::GeneralRef(name) => {
                let name = name.decode().unwrap();
                let text = quick_xml::escape::unescape(&format!("&{name};")).unwrap().into_owned();
                open.last_mut().unwrap().text.push_str(&text);
            }
            Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
            other => panic!("{other:?} in a document"),
        }
    }
    assert_eq!(open.len(), 1, "unclosed elements");
    let [root] = <[Node; 1]>::try_from(open.remove(0).children).expect("one root");
    root
}

/// Reads a document and checks that it is of the shape that IIS gives to one.
pub(crate) fn checked(document: &[u8]) -> Node {
    let text = std::str::from_utf8(document).expect("UTF-8");
    assert!(text.starts_with(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\r\n\
         <?xml-stylesheet type='text/xsl' href='freb.xsl'?>\r\n<failedRequest url=\""
    ));
    assert!(text.ends_with("</failedRequest>\r\n"));
    let bare = text.replace("\r\n", "");
    assert!(!bare.contains(['\r', '\n']), "every line ends in CR LF");
    let root = parse(text);
    assert_eq!(root.name, "failedRequest");
    let names: Vec<_> = root.attributes.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "url",
        "siteId",
        "appPoolId",
        "processId",
        "verb",
        "remoteUserName",
        "userName",
        "tokenUserName",
        "authenticationType",
        "activityId",
        "failureReason",
        "statusCode",
        "triggerStatusCode",
        "timeTaken",
        "xmlns:freb",
    ];
    assert_eq!(names, expected);
    for name in ["siteId", "processId", "timeTaken"] {
        number(root.attribute(name));
    }
    for name in ["statusCode", "triggerStatusCode"] {
        root.attribute(name).split('.').for_each(number);
    }
    guid(root.attribute("activityId"));
    let reasons = ["STATUS_CODE", "TIME_TAKEN", "VERBOSITY"];
    assert!(reasons.contains(&root.attribute("failureReason")));
    for event in &root.children {
        check_event(event, root.attribute("activityId"));
    }
    root
}

fn check_event(event: &Node, activity: &str) {
    assert_eq!(event.name, "Event");
    let space = "http://schemas.microsoft.com/win/2004/08/events/event";
    assert_eq!(event.attributes, [("xmlns".to_owned(), space.to_owned())]);
    children(event, &["System", "EventData", "RenderingInfo", "ExtendedTracingInfo"]);

    let system = event.child("System");
    let parts = [
        "Provider",
        "EventID",
        "Version",
        "Level",
        "Opcode",
        "Keywords",
        "TimeCreated",
        "Correlation",
        "Execution",
        "Computer",
    ];
    children(system, &parts);
    guid(system.child("Provider").attribute("Guid"));
    assert!(!system.child("Provider").attribute("Name").is_empty());
    assert_eq!(system.child("EventID").text, "0");
    for name in ["Version", "Level", "Opcode"] {
        number(&system.child(name).text);
    }
    assert!(matches!(system.child("Level").text.as_str(), "0" | "1" | "2" | "3" | "4" | "5"));
    let keywords = system.child("Keywords").text.strip_prefix("0x").expect("0x");
    let area = u32::from_str_radix(keywords, 16).unwrap();
    let time = system.child("TimeCreated").attribute("SystemTime");
    assert_eq!(time.len(), "2007-08-27T21:10:30.186Z".len(), "{time}");
    assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.');
    assert_eq!(system.child("Correlation").attribute("ActivityID"), activity);
    number(system.child("Execution").attribute("ProcessID"));
    number(system.child("Execution").attribute("ThreadID"));

    let items = event.child("EventData");
    for item in &items.children {
        assert_eq!((item.name.as_str(), item.attributes.len()), ("Data", 1));
        assert!(!item.attribute("Name").is_empty());
    }
    let [first, ..] = items.children.as_slice() else { panic!("an event of no request") };
    assert_eq!((first.attribute("Name"), first.text.as_str()), ("ContextId", activity));

    let rendering = event.child("RenderingInfo");
    assert_eq!(rendering.attribute("Culture"), "en-US");
    let [opcode, rest @ ..] = rendering.children.as_slice() else { panic!("no name") };
    assert!(opcode.name == "Opcode" && !opcode.text.is_empty());
    let (keywords, descriptions) = match rest {
        [keywords, rest @ ..] if keywords.name == "Keywords" => (Some(keywords), rest),
        rest => (None, rest),
    };
    if let Some(keywords) = keywords {
        children(keywords, &["Keyword"]);
        assert!(!keywords.child("Keyword").text.is_empty());
    }
    assert!(area == 0 || keywords.is_some());
    for description in descriptions {
        assert_eq!(description.name, "freb:Description");
        let of = description.attribute("Data");
        assert!(items.children.iter().any(|item| item.attribute("Name") == of), "{of}");
    }

    let extended = event.child("ExtendedTracingInfo");
    let space = "http://schemas.microsoft.com/win/2004/08/events/trace";
    assert_eq!(extended.attributes, [("xmlns".to_owned(), space.to_owned())]);
    children(extended, &["EventGuid"]);
    guid(&extended.child("EventGuid").text);
}

fn children(node: &Node, names: &[&str]) {
    let found: Vec<_> = node.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(found, names, "in {}", node.name);
}

fn number(text: &str) {
    assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
}

/// Braces and upper case.
fn guid(text: &str) {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, 'A'..='F' | '-');
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).expect("braces");
    assert!(inner.len() == 36 && inner.chars().all(is_part), "{text}");
}
