use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;

use super::*;

/// Made by openssl, as is all that follows.
const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzc3Li0sI3kvP2cLCq9mW
2F/VsfLwu2sI7WCK/n6CMk7281IYJm8gSvJffe935D9wKnTSdsVVt72SjRyGYS0O
VLa+MPrrjzCLxD+AwMZuUXkrK8EfYXiwIy6xtu6ciugD0XPUoBVbu6A3Rk4fV7r9
OWLe9zp3R/qqkvbu9TMmyx6DFPPqPkszIuVXTJ5CP/4FYVwMV+aYf4/sFHivDMTG
Yc8C7bVMkq6xkeR7EqjBN41Q7Gej6m0VXY3cjQkhU7ftR+grTG9zsaiatiJOugnr
+PBFLAK0ejzEfvkF5CqrKRyUOsDE3pT/SmIxOikai04olrxAphmDrqEqmhH1pPPw
8QIDAQAB
-----END PUBLIC KEY-----
";
const SAME_KEY: &str = "\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAzc3Li0sI3kvP2cLCq9mW2F/VsfLwu2sI7WCK/n6CMk7281IYJm8g
SvJffe935D9wKnTSdsVVt72SjRyGYS0OVLa+MPrrjzCLxD+AwMZuUXkrK8EfYXiw
Iy6xtu6ciugD0XPUoBVbu6A3Rk4fV7r9OWLe9zp3R/qqkvbu9TMmyx6DFPPqPksz
IuVXTJ5CP/4FYVwMV+aYf4/sFHivDMTGYc8C7bVMkq6xkeR7EqjBN41Q7Gej6m0V
XY3cjQkhU7ftR+grTG9zsaiatiJOugnr+PBFLAK0ejzEfvkF5CqrKRyUOsDE3pT/
SmIxOikai04olrxAphmDrqEqmhH1pPPw8QIDAQAB
-----END RSA PUBLIC KEY-----
";
const SMALL_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDS/sY7KissHL2PRCBJL6p+P0Ki
NO7J04lcCt5SQ0Z2OKkPmi2f0B9bIA7Jya3gyvmLUXHUt+09Y0FfhlKQOnqH9Y0C
vjS66h+4M9nu2qflYGAe66zIDyou3Se21AUCY3ilTeM4+/DuRMnGtFqVYCmE1rOl
VaDEkIm1lTWCcq3tYQIDAQAB
-----END PUBLIC KEY-----
";
const OTHER_KIND: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq8p4y80aRX9RxlP9+dKBDq/TyJLa
C2Ieh6D/DB/yi1DSwGuHvMYjqNwNJvaEbGzxuWD2ReV8adsj7qbFGM5Y5Q==
-----END PUBLIC KEY-----
";
/// `openssl dgst -sha256 -sign` of "a payload".
const SIGNATURE: &str = "DhMWr0/DjFIyxA7il4JGlFZ90zz4OfGnkFKD3deIeKb5g0JNgbFe5/EKmN57oBaicA+qe3GGTfe/RUJOh8WLqQ2fWROq4EmEzCw+YmqVzoKvz9rSzPBXyM93iITsk/WzGp5N3bRsqzcQ8srfCj620a7JSX3a+1uRPwGe85dV7/c8hOIQpzb1V7QkHvTjeomrGSqylWjI1zvRdfHbpncmoMtE5RYixFQOD/umIk1WeQO1pJrNDdRB6paHpi4SAsC7ekaLwuEp4POUjZoGzEz5+LeA3HmBkiQbM1aS1qEIYaDy9w7ZXd/1mnLJ/aN3TiWJrpDz274Jf6dpGH+YB7kLlw==";

fn signature() -> Vec<u8> {
    STANDARD.decode(SIGNATURE).unwrap()
}

#[rstest]
#[case(KEY)]
#[case(SAME_KEY)]
fn what_openssl_signed_is_verified(#[case] key: &str) {
    let key = PublicKey::from_pem(key).unwrap();
    let digest = Digest::of(b"a payload");
    assert!(key.verifies(&digest, &signature()));
    assert!(!key.verifies(&Digest::of(b"another"), &signature()));
    assert!(!key.verifies(&digest, &[&[0], &signature()[..]].concat()));
    assert!(!key.verifies(&digest, &signature()[1..]));
    assert!(!key.verifies(&digest, &[]));
    assert!(!key.verifies(&digest, &[0xff; 256]));
}

#[test]
fn a_message_has_the_size_that_was_told() {
    // As devices with keys of 2048 bits have always had it.
    assert_eq!(size(256), 264);
    assert_eq!(write(&signature()).len(), size(256));
    assert_eq!(read(&write(&signature())), Ok(vec![signature()]));
}

#[test]
fn every_changed_bit_is_found() {
    let key = PublicKey::from_pem(KEY).unwrap();
    let digest = Digest::of(b"a payload");
    let mut message = write(&signature());
    assert_eq!(key.judge(&digest, &message), Ok(()));
    for at in 0..message.len() {
        for bit in 0..8 {
            message[at] ^= 1 << bit;
            assert!(key.judge(&digest, &message).is_err(), "byte {at}, bit {bit}");
            message[at] ^= 1 << bit;
        }
    }
    message.push(0);
    assert!(key.judge(&digest, &message).is_err());
}

#[test]
fn one_of_several_is_enough_and_may_be_filled_up() {
    let key = PublicKey::from_pem(KEY).unwrap();
    let padded = |data: Vec<u8>| Signature {
        version: None,
        unpadded_size: Some(256),
        data: Some(data),
    };
    let message = |last: Vec<u8>| {
        let signatures = vec![padded(vec![1; 256]), padded(last)];
        Signatures { signatures }.encode_to_vec()
    };
    let digest = Digest::of(b"a payload");
    let mut filled = signature();
    filled.resize(512, 0);
    assert_eq!(key.judge(&digest, &message(filled.clone())), Ok(()));
    filled[511] = 1;
    assert_eq!(
        key.judge(&digest, &message(filled)),
        Err("is not filled up with zeros".to_owned())
    );
    assert_eq!(
        key.judge(&digest, &message(vec![1; 256])),
        Err("is not by this key over these bytes".to_owned())
    );
    assert!(read(&Signatures::default().encode_to_vec()).is_err());
}

#[rstest]
#[case(SMALL_KEY, "it has 1024 bits")]
#[case(OTHER_KIND, "it is not an RSA key")]
#[case(
    "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    "it says CERTIFICATE"
)]
#[case("key", "PEM")]
fn what_is_no_key_is_told(#[case] pem: &str, #[case] why: &str) {
    let error = PublicKey::from_pem(pem).unwrap_err().to_string();
    assert!(error.contains(why) && error.contains("hint: "), "{error}");
}
