//! The kit answers for members and accounts as a node does.
use vouch_contract::{Account, Context, String, Vec, account_roles, call, contract, kit::Kit, member, membership};

contract! {
    name: "who",
    version: "1.0.0",
    title: ("Who", "谁"),
    errors: WhoError {
        /// Only what the members decided.
        NotDecided = "not_decided" ("Not decided by the members", "未经成员表决"),
    },
    types: [],
    events: [],
    methods: {
        call decide() -> bool = ("Decide", "决定");
        query roles(account: Account = ("Account", "账户")) -> Vec<String> = ("Roles", "角色");
        query belongs(account: Account = ("Account", "账户")) -> Option<String> = ("Belongs to", "所属");
        query role(name: String = ("Member", "成员")) -> Option<String> = ("Role", "角色");
        query active(name: String = ("Member", "成员")) -> bool = ("Active", "有效");
        query relayed(name: String = ("Member", "成员")) -> Vec<String> = ("Role elsewhere and here", "别处与此处的角色");
    }
}

fn decide(context: &Context) -> Result<bool, WhoError> {
    let decided = context.calling_contract.as_deref() == Some("system");
    if decided { Ok(true) } else { Err(WhoError::NotDecided) }
}

fn roles(_: &Context, account: Account) -> Result<Vec<String>, WhoError> {
    Ok(account_roles(&account))
}

fn belongs(_: &Context, account: Account) -> Result<Option<String>, WhoError> {
    Ok(membership(&account).map(|m| m.name))
}

fn role(_: &Context, name: String) -> Result<Option<String>, WhoError> {
    Ok(member(&name).map(|m| m.role))
}

fn active(_: &Context, name: String) -> Result<bool, WhoError> {
    Ok(member(&name).is_some_and(|m| m.active))
}

fn relayed(_: &Context, name: String) -> Result<Vec<String>, WhoError> {
    let elsewhere: Option<String> = call("elsewhere", "role", &(name.clone(),), u64::MAX).ok().flatten();
    Ok([elsewhere, member(&name).map(|m| m.role)].into_iter().flatten().collect())
}

#[test]
fn a_called_contract_may_run_in_a_kit_of_its_own() {
    let mut kit = Kit::<Contract>::new();
    kit.add_member(Account([1; 32]), "hub", "platform");
    kit.other = |contract, method, arguments| {
        assert_eq!(contract, "elsewhere");
        let mut elsewhere = Kit::<Contract>::new();
        elsewhere.add_member(Account([1; 32]), "hub", "regulator");
        elsewhere.call_bytes(method, arguments)
    };
    let relayed = kit.call("relayed", ("hub".to_owned(),));
    assert_eq!(relayed, Ok(vec!["regulator".to_owned(), "platform".to_owned()]), "the caller goes on where it was");
}

#[test]
fn members_and_roles() {
    let (anna, nobody) = (Account([1; 32]), Account([2; 32]));
    let mut kit = Kit::<Contract>::new();
    kit.add_member(anna, "hub", "platform");
    kit.set_roles(anna, &["submitter", "reader", "reader"]);
    kit.set_roles(nobody, &["reader"]);
    assert_eq!(kit.call("roles", (anna,)), Ok(vec!["reader".to_owned(), "submitter".to_owned()]));
    assert_eq!(kit.call("roles", (nobody,)), Ok(Vec::<String>::new()), "an account of nobody has no roles");
    assert_eq!(kit.call("role", ("hub".to_owned(),)), Ok(Some("platform".to_owned())));
    assert_eq!(kit.call("role", ("bank".to_owned(),)), Ok(None::<String>));
    assert_eq!(kit.call("active", ("hub".to_owned(),)), Ok(true));

    kit.set_member_active("hub", false);
    assert_eq!(kit.call("active", ("hub".to_owned(),)), Ok(false));
    assert_eq!(kit.call("role", ("hub".to_owned(),)), Ok(Some("platform".to_owned())));
    assert_eq!(kit.call("roles", (anna,)), Ok(Vec::<String>::new()));
    assert_eq!(kit.call("belongs", (anna,)), Ok(None::<String>));
    kit.set_member_active("hub", true);
    assert_eq!(kit.call("belongs", (anna,)), Ok(Some("hub".to_owned())));
}

#[test]
fn calls_that_the_members_decided_come_from_system() {
    let mut kit = Kit::<Contract>::new();
    assert_eq!(kit.call::<_, bool>("decide", ()).unwrap_err().code, "contract.error.not_decided");
    kit.calling_contract = Some("notary".to_owned());
    assert_eq!(kit.call::<_, bool>("decide", ()).unwrap_err().code, "contract.error.not_decided");
    kit.calling_contract = Some("system".to_owned());
    assert_eq!(kit.call("decide", ()), Ok(true));
}
