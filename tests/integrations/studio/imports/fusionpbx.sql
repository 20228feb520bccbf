INSERT INTO v_providers (provider_uuid, provider_name, provider_enabled) VALUES ('9aa', 'Captain''s SMS', true);
INSERT INTO v_provider_addresses (provider_uuid, provider_address_cidr) VALUES ('9aa', '203.0.113.0/24');
INSERT INTO "public"."v_provider_settings" (provider_uuid, provider_setting_category, provider_setting_subcategory, provider_setting_type, provider_setting_name, provider_setting_value, provider_setting_order, provider_setting_enabled) VALUES
 ('9aa', 'outbound', 'destination', 'text', 'http_destination', 'https://captain.example/sms.php?token=t0k-en-5', NULL, true),
 ('9aa', 'outbound', 'content', 'text', 'content_type', 'post', NULL, true),
 ('9aa', 'outbound', 'content', 'text', 'message_from', 'From', NULL, true),
 ('9aa', 'outbound', 'content', 'text', 'message_to', 'To', NULL, true),
 ('9aa', 'outbound', 'content', 'text', 'message_content', 'Body', NULL, true),
 ('9aa', 'outbound', 'content', 'text', 'message_other', 'Route=west(1)', NULL, 'true'),
 ('9aa', 'inbound', 'content', 'text', 'content_type', 'post', NULL, true),
 ('9aa', 'inbound', 'content', 'text', 'message_from', 'From', NULL, true),
 ('9aa', 'inbound', 'content', 'text', 'message_to', 'To', NULL, true),
 ('9aa', 'inbound', 'content', 'text', 'message_content', 'Body', NULL, true);
